"""Provenance of a result: our version and commit, libraries, device, times."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import bench
from bench.store.result import Provenance

#: Libraries that can change a figure or its cost.
LIBRARIES = (
    "torch",
    "torchaudio",
    "pytorch-lightning",
    "ray",
    "wandb",
    "numpy",
    "torchmetrics",
    "sacrebleu",
    "rouge-score",
    "pycocoevalcap",
    "tokenizers",
)


def provenance(
    *,
    started: str,
    device: str = "cpu",
    threads: int = 1,
    study: str | None = None,
    data_fingerprint: str | None = None,
    signatures: Mapping[str, str] | None = None,
    notes: Iterable[str] = (),
) -> Provenance:
    """Make the provenance of a trial that ends now and began at `started` (an earlier `utc_now()`).

    Args:
        device: "cpu", "cuda" or "cuda:<index>"; its maker's name is looked up.
        threads: threads torch used, recorded for the CPU.
        data_fingerprint, signatures, notes: from the task's data and evaluation.
    """
    return Provenance(
        package_version=bench.__version__,
        commit=commit(),
        libraries=dict(library_versions()),
        device=device_name(device, threads),
        data_fingerprint=data_fingerprint,
        signatures=dict(signatures or {}),
        notes=tuple(notes),
        study=study,
        started=started,
        finished=utc_now(),
    )


def utc_now() -> str:
    """Current time in ISO 8601, to the millisecond: `2025-01-31T12:00:00.000Z`."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@cache
def library_versions() -> Mapping[str, str]:
    """Versions of Python and of the installed LIBRARIES, without importing them."""
    versions = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


@cache
def commit() -> str | None:
    """Commit of the checkout we run from, with "-dirty" if files differ from it; None outside a
    checkout and without git. Looked up once per process.
    """
    root = Path(bench.__file__).resolve().parent.parent
    if not (root / ".git").exists():  # installed as a package, maybe inside someone's repository
        return None
    # --exclude=* leaves no tag to describe by, so the full hash is what --always falls back to.
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(
            command, cwd=root, capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None


def device_name(device: str, threads: int = 1) -> str:
    """Name of a device for people: `NVIDIA H200`, `AMD EPYC 7B13 (1 thread)`."""
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(device))
    return f"{_processor()} ({threads} thread{'s' if threads != 1 else ''})"


@cache
def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return " ".join(line.split(":", 1)[1].split())
    except OSError:
        pass
    return platform.processor() or platform.machine()

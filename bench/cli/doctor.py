"""`attnbench doctor`: what this machine has, and what would not work on it.

Of the libraries only torch is imported, which finds the GPUs: importing them all takes half a
minute on a busy machine. `--imports` does that, and finds broken installations.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from bench.errors import UsageError

# What a sweep cannot do without, by the name it is imported under.
_NEEDED = ("torch", "pytorch_lightning", "ray", "wandb", "pydantic", "yaml", "fsspec")
_LITTLE_DISK = 2 * 1024**3


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's report. Only "bad" makes the command fail."""

    level: Literal["ok", "note", "bad"]
    subject: str
    text: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--store", metavar="STORE", default="runs", help="store to test (default: runs)"
    )
    parser.add_argument(
        "--imports",
        action="store_true",
        help="import every library that is needed, which takes long",
    )
    parser.add_argument("--json", action="store_true", help="as a JSON list")


def run(args: argparse.Namespace) -> int:
    """Check and print; 0 if everything needed works, else 1."""
    checks: list[Callable[[], list[Finding]]] = [
        lambda: _versions(imports=args.imports),
        _devices,
        lambda: _store(args.store),
        _wandb,
        _optional,
    ]
    findings = [finding for check in checks for finding in check()]
    if args.json:
        sys.stdout.write(json.dumps([asdict(finding) for finding in findings], indent=1) + "\n")
    else:
        for finding in findings:
            sys.stdout.write(f"{finding.level:4}  {finding.subject}: {finding.text}\n")
    return 1 if any(finding.level == "bad" for finding in findings) else 0


def _versions(*, imports: bool) -> list[Finding]:
    import bench
    from bench.store.result import commit, library_versions

    tail = f", commit {commit()}" if commit() else ""
    listed = ", ".join(f"{name} {version}" for name, version in library_versions().items())
    findings = [
        Finding("ok", "attention-bench", f"{bench.__version__}{tail}"),
        Finding("ok", "libraries", listed),
    ]
    for name in _NEEDED:
        if importlib.util.find_spec(name) is None:
            findings.append(Finding("bad", name, "not installed"))
            continue
        try:
            if imports or name == "torch":
                importlib.import_module(name)
        except Exception as error:  # a broken installation can raise anything
            findings.append(Finding("bad", name, f"cannot be imported: {error}"))
    return findings


def _devices() -> list[Finding]:
    import psutil

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = psutil.virtual_memory()
    free, total = memory.available / 1024**3, memory.total / 1024**3
    findings = [Finding("ok", "CPU", f"{cores} cores, {free:.1f} of {total:.1f} GiB memory free")]
    try:
        import torch
    except Exception:  # said above
        return findings
    if not torch.cuda.is_available():
        return [*findings, Finding("note", "GPU", "none that torch can use")]
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        text = f"{torch.cuda.get_device_name(index)}, {free / 1024**3:.1f} of "
        findings.append(
            Finding("ok", f"GPU {index}", f"{text}{total / 1024**3:.1f} GiB memory free")
        )
    return findings


def _store(address: str) -> list[Finding]:
    from bench.store.files import local_path
    from bench.store.store import Store

    path = None if "://" in address else local_path(address, where="--store").absolute()
    if path is not None and not path.exists():
        parent = _existing(path)
        finding = Finding("ok", "store", f"{path} is not there yet and can be made")
        if not (parent.is_dir() and os.access(parent, os.W_OK)):
            finding = Finding("bad", "store", f"{path} cannot be made in {parent}")
        return [finding, _disk(path)]  # looking leaves nothing behind
    try:
        store = Store.open(address, create=True)
    except UsageError as error:
        return [Finding("bad", "store", str(error))]
    return [Finding("ok", "store", f"{store.address} can be written"), _disk(store.scratch)]


def _disk(path: Path) -> Finding:
    free = shutil.disk_usage(_existing(path)).free
    text = f"{free / 1024**3:.1f} GiB free"
    return Finding("bad" if free < _LITTLE_DISK else "ok", "disk", text)


def _existing(path: Path) -> Path:
    return path if path.exists() else _existing(path.parent)


def _wandb() -> list[Finding]:
    from bench.tracking import decide

    decision = decide("auto")
    return [Finding("ok", "W&B", f"{decision.mode} ({decision.reason})")]


def _optional() -> list[Finding]:
    java = shutil.which("java")
    s3 = importlib.util.find_spec("s3fs") and "supported"
    return [
        Finding("ok" if java else "note", "Java", java or "not found; METEOR is left out"),
        Finding("ok" if s3 else "note", "s3://", s3 or "needs attention-bench[s3]"),
    ]

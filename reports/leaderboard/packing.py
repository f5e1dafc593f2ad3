"""Packing results into a bundle: a zip of JSON, the same bytes for the same results.

No code, no pickle, no traces: records and test examples as the store has them, and the manifest.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import bench
from bench.attention.registries import attentions
from bench.errors import UsageError
from bench.provenance import library_versions
from bench.result import Result
from bench.store import Store
from reports.leaderboard.manifest import (
    NAME,
    SCHEMA,
    File,
    Manifest,
    Mechanism,
    Trial,
    predictions_of,
    record_of,
)
from reports.leaderboard.rules import Class
from tasks.plan import resolve

# Zip files date their members; this is the earliest date they know.
_DATE = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644 << 16
_UNIX = 3


def pack(
    store: Store,
    results: Sequence[Result],
    target: Path,
    *,
    name: str,
    kind: Class = "same",
    rules: str = "1",
) -> Manifest:
    """Write a bundle of these finished results.

    Raises UsageError where a result has no predictions or its cell is not known here, and where
    the file cannot be written. A file that was there stays until the new one is whole.
    """
    ordered = sorted(results, key=lambda one: one.hash)
    trials = {one.hash: _trial(one) for one in ordered}
    draft = target.with_name(f".{target.name}.tmp")
    try:
        with zipfile.ZipFile(draft, "w") as archive:
            files: dict[str, File] = {}
            for one in ordered:
                record = record_of(one.hash), _pretty(one.to_json())
                examples = predictions_of(one.hash), _lines(_predictions(store, one))
                for member, content in (record, examples):
                    files[member] = _add(archive, member, content)
            manifest = Manifest(
                schema_version=SCHEMA,
                name=name,
                kind=kind,
                rules=rules,
                versions={"attention-bench": bench.__version__, **library_versions()},
                mechanisms={
                    attention: _mechanism(attention)
                    for attention in sorted({str(one.cell["attention"]) for one in ordered})
                },
                trials=trials,
                files=files,
            )
            _add(archive, NAME, _pretty(manifest.model_dump(mode="json", by_alias=True)))
        draft.replace(target)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"the bundle cannot be written ({reason})", where=str(target)) from None
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> File:
    info = zipfile.ZipInfo(name, _DATE)
    info.external_attr, info.create_system = _REGULAR_FILE, _UNIX
    archive.writestr(info, content, zipfile.ZIP_DEFLATED, compresslevel=9)
    return File(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _predictions(store: Store, result: Result) -> list[dict[str, Any]]:
    try:
        rows = store.predictions(result.hash)
    except KeyError:
        rows = []
    if not rows:
        raise UsageError(
            "the store has no predictions of it, so nobody could check its figures",
            where=result.key.label,
            remedy="run it again",
        )
    return rows


def _trial(result: Result) -> Trial:
    try:
        plan = resolve(result.key)
    except UsageError as error:  # run by a version with other names
        raise UsageError(
            f"nothing here could run it ({error})",
            where=result.key.label,
            remedy="choose others with --task, --attention or --score",
        ) from None
    return Trial(
        data=result.provenance.data_fingerprint,
        settings=plan.settings.model_dump(mode="json"),
    )


def _mechanism(name: str) -> Mechanism:
    kind = attentions.get(name)
    return Mechanism(
        placement=kind.placement,
        origin=origin_of(kind),
        options=kind.Options().model_dump(mode="json"),
    )


def origin_of(kind: type) -> str:
    """The package a class is from, with its version where that is known."""
    package = kind.__module__.partition(".")[0]
    if package == "bench":
        return f"attention-bench {bench.__version__}"
    for distribution in importlib.metadata.packages_distributions().get(package, []):
        return f"{distribution} {importlib.metadata.version(distribution)}"
    return package


def _pretty(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True)
    return text.encode() + b"\n"


def _lines(rows: Iterable[Mapping[str, Any]]) -> bytes:
    return b"".join(
        json.dumps(row, ensure_ascii=False, allow_nan=False).encode() + b"\n" for row in rows
    )

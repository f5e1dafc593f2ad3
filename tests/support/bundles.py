"""Bundles as a liar would make them: taken apart, changed, and put together again."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: From the content of a member to its new content.
Change = Callable[[bytes], bytes]


def members(path: Path) -> dict[str, bytes]:
    """The members of a bundle by name."""
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def write(path: Path, content: dict[str, bytes]) -> Path:
    """An archive of these members."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return path


def changed(
    bundle: Path,
    target: Path,
    changes: dict[str, Change | None],
    *,
    careful: bool = True,
    manifest: Callable[[dict[str, Any]], None] | None = None,
) -> Path:
    """A copy with changed members; None takes one out.

    Args:
        careful: bring the manifest's sizes and hashes up to date, as a careful liar would.
        manifest: changes the manifest in place.
    """
    content = members(bundle)
    record = json.loads(content.pop("bundle.json"))
    for name, change in changes.items():
        if change is None:
            del content[name]
            if careful:
                del record["files"][name]
        else:
            content[name] = change(content[name])
    if careful:
        for name, text in content.items():
            digest = hashlib.sha256(text).hexdigest()
            record["files"][name] = {"bytes": len(text), "sha256": digest}
    if manifest is not None:
        manifest(record)
    return write(target, {**content, "bundle.json": json.dumps(record).encode()})


def in_record(edit: Callable[[dict[str, Any]], None]) -> Change:
    """A change of a record's fields."""

    def change(content: bytes) -> bytes:
        record = json.loads(content)
        edit(record)
        return json.dumps(record).encode()

    return change


def in_rows(edit: Callable[[list[dict[str, Any]]], None]) -> Change:
    """A change of the lines of predictions."""

    def change(content: bytes) -> bytes:
        rows = [json.loads(line) for line in content.splitlines()]
        edit(rows)
        return b"".join(json.dumps(row).encode() + b"\n" for row in rows)

    return change

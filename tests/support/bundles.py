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


def member_of(bundle: Path, hash: str) -> str:
    """The member with the main test set of a trial."""
    manifest = json.loads(members(bundle)["bundle.json"])
    return f"testsets/{manifest['trials'][hash]['test_sets'][0][1]}.json"


def in_record(edit: Callable[[dict[str, Any]], None]) -> Change:
    """A change of a record's fields."""

    def change(content: bytes) -> bytes:
        record = json.loads(content)
        edit(record)
        return json.dumps(record).encode()

    return change


def in_rows(edit: Callable[[list[dict[str, Any]]], None]) -> Change:
    """A change of a trial's test examples, each as a row: its test set, its place there, score,
    statistics, output and what else is kept. Rows that have other fields get columns of them."""

    def change(content: bytes) -> bytes:
        columns = json.loads(content)
        rows = [row for subset, members in columns.items() for row in _rows_of(subset, members)]
        edit(rows)
        changed = {
            subset: _columns_of([row for row in rows if row["subset"] == subset])
            for subset in columns
        }
        return json.dumps(changed).encode()

    return change


def _rows_of(subset: str, columns: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        {
            "subset": subset,
            "score": score,
            "statistics": [column[place] for column in columns["statistics"]],
            "prediction": columns["outputs"][place] if "outputs" in columns else None,
            "extra": {name: column[place] for name, column in columns["extra"].items()},
        }
        for place, score in enumerate(columns["scores"])
    ]


def _columns_of(rows: list[dict[str, Any]]) -> dict[str, Any]:
    names = dict.fromkeys(name for row in rows for name in row["extra"])
    others = dict.fromkeys(name for row in rows for name in row)
    for known in ("subset", "score", "statistics", "prediction", "extra"):
        others.pop(known, None)
    outputs = [row["prediction"] for row in rows]
    return {
        "scores": [row["score"] for row in rows],
        "statistics": [
            list(column) for column in zip(*(r["statistics"] for r in rows), strict=False)
        ],
        "extra": {name: [row["extra"].get(name) for row in rows] for name in names},
        **({} if None in outputs else {"outputs": outputs}),
        **{name: [row.get(name) for row in rows] for name in others},
    }

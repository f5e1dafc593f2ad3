"""What was downloaded: a record beside the files, and how it is told."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.errors import UsageError
from tasks.download import Downloaded
from tasks.rows import read_json


@dataclass(frozen=True)
class Fetched:
    """What fetching did.

    Attributes:
        folder: where the files lie.
        got: files downloaded now.
        kept: files that had been there.
    """

    folder: Path
    got: tuple[str, ...]
    kept: tuple[str, ...]


def read_record(path: Path) -> dict[str, Downloaded]:
    """Downloads by name; none where there is no record. Raises UsageError if it is spoilt."""
    if not path.is_file():
        return {}
    try:
        return {name: Downloaded(**entry) for name, entry in read_json(path).items()}
    except (TypeError, AttributeError):
        raise UsageError(
            "not a record of downloads", where=str(path), remedy="delete it and get the data again"
        ) from None


def write_record(path: Path, known: Mapping[str, Downloaded]) -> None:
    """Replace the record in one step. Raises UsageError where it cannot be written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    text = json.dumps({name: asdict(entry) for name, entry in sorted(known.items())}, indent=1)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text + "\n", "utf-8")
        temporary.replace(path)
    except OSError as error:
        raise UsageError(
            f"cannot be written ({error.strerror or error})", where=str(path)
        ) from None


def size_text(size: int) -> str:
    """Bytes as people say them: "6.4 GB", "22 kB"."""
    amount, unit = float(size), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if amount < 1000:
            break
        amount, unit = amount / 1000, larger
    return f"{amount:.1f} {unit}" if amount < 10 and unit != "bytes" else f"{amount:.0f} {unit}"

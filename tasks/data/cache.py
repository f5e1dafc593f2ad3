"""Prepared data on disk: files named by what they were made from, shared by all trials.

A file's name is the digest of everything its contents depend on, so a file that is there is right
and is never changed. Writing is atomic (a temporary file, then a rename), and a lock lets one
process build while others that want the same file wait for it; the lock goes when its holder
dies, so a killed trial blocks nobody.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bench.errors import UsageError


def digest(*parts: Any) -> str:
    """SHA-256 of plain JSON data, 64 hexadecimal digits. The order of dict keys is irrelevant."""
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def digest_texts(texts: Iterable[str]) -> str:
    """SHA-256 over a sequence of texts: their contents, borders and order."""
    total = hashlib.sha256()
    for text in texts:
        encoded = text.encode()
        total.update(b"%d:" % len(encoded))
        total.update(encoded)
    return total.hexdigest()


def cached(
    folder: Path, fingerprint: str, build: Callable[[Path], None], *, suffix: str = ""
) -> Path:
    """The file `folder/<fingerprint><suffix>`, built first if it is not there.

    Args:
        folder: made if needed.
        fingerprint: digest of everything the contents depend on.
        build: writes the contents to the path it is given.

    Raises:
        UsageError: the folder cannot be written.
    """
    path = folder / f"{fingerprint}{suffix}"
    if path.exists():
        return path
    from filelock import FileLock  # here, since it brings asyncio

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{fingerprint}.lock"):
            if not path.exists():
                _write(path, build)
    except OSError as error:
        raise UsageError(
            f"cannot write prepared data ({error.strerror or error})",
            where=str(folder),
            remedy="choose a cache folder that can be written, or free disk space",
        ) from error
    return path


def _write(path: Path, build: Callable[[Path], None]) -> None:
    handle, name = tempfile.mkstemp(prefix=".", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        build(temporary)
        # Without this a power cut could leave the name on an empty file.
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)

"""Writing what a command made into a folder of the user's choice."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bench.errors import UsageError


def write_files(out: Path, files: Iterable[tuple[str, str | bytes]], what: str) -> list[Path]:
    """Write files below a folder, which is made; those of the same names are replaced.

    Args:
        files: path below the folder, with forward slashes, and content; text becomes UTF-8.
        what: "report", for the message.

    Raises UsageError where the folder cannot be written.
    """
    written = []
    try:
        for name, content in files:
            path = out / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
            written.append(path)
    except OSError as error:
        raise UsageError(
            f"the {what} cannot be written ({(error.strerror or str(error)).lower()})",
            where=str(out),
            remedy="choose another folder with --out",
        ) from None
    return written

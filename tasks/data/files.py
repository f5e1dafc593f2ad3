"""Files and folders of data sets: found by the names that users and data give them, or refused with
what is there instead."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from bench.errors import UsageError
from bench.store.files import irregular

_PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip")


def required_root(data_root: Path | None, name: str, holds: str) -> Path:
    """The data root of a data set that needs one. Raises UsageError without it.

    Args:
        holds: what the folder is expected to hold, for the message.
    """
    if data_root is None:
        raise UsageError(
            f"data set '{name}' needs its files",
            where="--data-root",
            remedy=f"name the folder that holds {holds}",
        )
    if not data_root.is_dir():
        raise UsageError("no such folder", where=f"--data-root {data_root}")
    return data_root


def data_folder(data_root: Path | None, name: str, candidates: Sequence[str]) -> Path:
    """The first of these folders that is there. Raises UsageError if none is, or without a root."""
    root = required_root(data_root, name, f"{' or '.join(candidates)}/")
    for candidate in candidates:
        if (root / candidate).is_dir():
            return root / candidate
    raise UsageError(
        f"data set '{name}' is not there",
        where=str(root),
        remedy=f"expected a folder {' or '.join(candidates)} in it",
    )


def file_named(folder: Path, name: str) -> Path:
    """The file of that name in a folder. Some systems store names in decomposed form (NFD), some
    in composed form: either is found."""
    forms = (name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD")))
    return next((path for form in forms if (path := folder / form).exists()), folder / name)


def require_file(path: Path, kind: str = "file") -> None:
    """Raise UsageError where there is no file of that name, or something else that has it.

    Args:
        kind: what was expected ("text file"), for the message.
    """
    try:
        path.stat()
    except (OSError, ValueError) as error:
        raise unreadable(path, error) from None
    require_regular(path, kind)


def require_regular(path: Path, kind: str = "file") -> None:
    """Raise UsageError for what is there but is no file: a named pipe would be waited on for ever.
    What is not there is left to whoever opens it."""
    try:
        found = irregular(path)
    except (OSError, ValueError):
        return
    if found:
        what = f"is {found}, not a {kind}"
        raise UsageError(what, where=str(path), remedy="put the file there")


def is_file(path: Path) -> bool:
    """Whether there is a file of that name, whatever the name is."""
    try:
        return path.is_file()
    except OSError:  # a name that is too long
        return False


def empty_file(path: Path) -> UsageError:
    return UsageError("the file is empty", where=str(path))


def unreadable(path: Path, error: OSError | ValueError) -> UsageError:
    """Why a file cannot be read, as users say it."""
    if isinstance(error, FileNotFoundError):
        remedy = found_instead(path) or "check --data-root and the file's name"
        return UsageError("no such file", where=str(path), remedy=remedy)
    reason = error.strerror if isinstance(error, OSError) and error.strerror else error
    return UsageError(f"cannot be read ({reason})", where=str(path))


def found_instead(path: Path) -> str:
    """What is there in place of a file that is missing, and what would do; "" if nothing is."""
    for form in ("NFC", "NFD"):
        for other in (
            path.parent / unicodedata.normalize(form, path.name),
            Path(unicodedata.normalize(form, str(path))),
        ):
            if other != path and is_file(other):
                return f"there is one whose name writes its accents otherwise ({form}); rename it"
    for ending in _PACKED:
        if is_file(path.parent / f"{path.name}{ending}"):
            return f"{path.name}{ending} is there; unpack it"
    return ""

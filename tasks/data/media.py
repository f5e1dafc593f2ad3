"""Files of pictures and sounds before they are decoded: finding them by the name that a table
gives, refusing what is no file, and keeping their decoders quiet."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
import unicodedata
import warnings
from collections.abc import Iterator
from pathlib import Path

from bench.errors import UsageError

#: Files that operating systems leave beside data, in lower case; others of theirs begin with a dot.
_LEFT_BEHIND = frozenset({"thumbs.db", "ehthumbs.db", "desktop.ini"})
_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_quiet = threading.RLock()


def find_file(folder: Path, name: str) -> Path:
    """The file of that name in a folder, or one whose name differs in nothing but how its accents
    are written (composed or decomposed, Unicode's NFC and NFD). Where there is neither: the path
    as given."""
    for spelling in (name, *(unicodedata.normalize(form, name) for form in ("NFC", "NFD"))):
        if os.path.isfile(path := folder / spelling):
            return path
    return folder / name


def is_data(path: Path) -> bool:
    """Whether a file found in a folder can be data: not one that an operating system left there
    (`._a.wav`, `.DS_Store`, `Thumbs.db`)."""
    return not path.name.startswith(".") and path.name.lower() not in _LEFT_BEHIND


def require_regular(path: Path) -> None:
    """Refuse what is there but is no file: reading a named pipe would wait for ever. What is not
    there is left to whoever opens it."""
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "something else")
        raise UsageError(f"is {kind}, not a file", where=str(path), remedy="put the file there")


@contextlib.contextmanager
def quiet_decoders() -> Iterator[None]:
    """A stretch in which warnings are ignored and nothing reaches standard error: libmpg123 and
    libtiff write there past Python. Other threads wait to enter it."""
    with _quiet, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.suppress(AttributeError, OSError, ValueError):
            sys.stderr.flush()
        try:
            kept = os.dup(2)
        except OSError:  # closed: nothing can be written there
            yield
            return
        try:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
            yield
        finally:
            os.dup2(kept, 2)
            os.close(kept)

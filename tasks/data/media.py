"""Files of pictures and sounds before they are decoded: refusing what is no file, and keeping
their decoders quiet."""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path

from bench.errors import UsageError

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_quiet = threading.RLock()


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

"""Decoders of pictures and sounds kept quiet."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import warnings
from collections.abc import Iterator

_quiet = threading.RLock()


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

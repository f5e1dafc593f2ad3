"""How a running trial is ended from outside: it is asked to stop, or its time is over.

Both work wherever the trial runs: a stop is asked for through the store, and time is watched by
the process itself.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from ablations.outcome import TIMED_OUT, failed_trial, held_result, store_quietly
from bench.store import Store

if TYPE_CHECKING:
    from ablations.context import TrialContext
    from bench.cell import Cell

#: Seconds between two looks at the store, a local folder or another.
_LOCAL_SECONDS, _REMOTE_SECONDS = 0.5, 10.0

#: Seconds given to a trial whose time is over to say so, before the process is ended without it.
_LAST_WORDS_SECONDS = 15.0

_TIMED_OUT_STATUS = 17


class Interrupted(Exception):
    """Somebody asked the trial to stop; where there is a store, a checkpoint lies in it."""


class StopFlag:
    """Whether a sweep was asked to stop. Looks at the store now and then, so it can be called
    before every step."""

    def __init__(
        self, store: Store, sweep: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._store, self._sweep, self._clock = store, sweep, clock
        self._every = _LOCAL_SECONDS if store.is_local else _REMOTE_SECONDS
        self._next = clock()
        self._asked = False

    @classmethod
    def of(cls, context: TrialContext) -> StopFlag | None:
        """The flag of the sweep that a trial belongs to; None for a trial of its own."""
        store = context.store()
        return None if store is None or context.sweep is None else cls(store, context.sweep)

    def __call__(self) -> bool:
        now = self._clock()
        if not self._asked and now >= self._next:
            self._next = now + self._every
            # A store that cannot be reached for a moment asks for nothing.
            with contextlib.suppress(Exception):
                self._asked = self._store.is_asked_to_stop(self._sweep)
        return self._asked


@contextlib.contextmanager
def time_limit(cell: Cell, context: TrialContext, started: str) -> Iterator[None]:
    """End this process, with a failed result of the cell in the store, if the block takes longer
    than a trial may.

    Nothing gentler stops code that hangs outside Python; the sweep starts another worker.
    """
    seconds = context.trial_seconds
    if seconds is None:
        yield
        return
    watch = threading.Timer(seconds, _end, (cell, context, started))
    watch.daemon = True
    watch.start()
    # In case that other threads of Python do not get their turn any more.
    faulthandler.dump_traceback_later(seconds + _LAST_WORDS_SECONDS, exit=True, file=2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        watch.cancel()


def _end(cell: Cell, context: TrialContext, started: str) -> None:
    said = f"it took longer than {context.trial_seconds:g} s"
    if held_result(cell, context) is None:
        store_quietly(failed_trial(cell, context, TIMED_OUT, said, started=started), context)
    os._exit(_TIMED_OUT_STATUS)

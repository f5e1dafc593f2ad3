"""How a running trial is ended from outside: it is asked to stop, or its time is over.

Both work wherever the trial runs: a stop is asked for through the store, and time is watched by
the process itself.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

import psutil

from ablations.outcome import TIMED_OUT, failed_trial, held_result, store_quietly
from bench.store.store import Store

if TYPE_CHECKING:
    from ablations.context import TrialContext
    from bench.store.cell import Cell


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


# Ctrl-C and SIGTERM: trials have seconds to save a checkpoint, no process is left behind; a second
# signal does not wait for anything.

SIGNALS = (signal.SIGINT, signal.SIGTERM)


#: Seconds that trials have to save a checkpoint and end. Who sends SIGTERM (Slurm, a cloud that
#: takes its machine back) sends SIGKILL half a minute later; who presses Ctrl-C is waiting.
PATIENCE = {signal.SIGINT: 5.0, signal.SIGTERM: 20.0}

_NOTICE = b"\nstopping; what is finished is stored (once more ends it without cleaning up)\n"


class Stopped(BaseException):
    """A signal asked to stop. `number` is the signal's."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def status(self) -> int:
        """Exit status by the shells' convention: 130 for Ctrl-C, 143 for SIGTERM."""
        return 128 + self.number


class StopRequest:
    """Whether a signal came. Nothing is raised out of signal handlers, since Ray's C++ code
    crashes on exceptions that appear in the middle of it; `check` raises where it is safe."""

    def __init__(self, at_second: Callable[[], None]) -> None:
        self.number: int | None = None
        self._at_second = at_second

    def arm(self) -> None:
        """Listen to the signals. To be called again after `ray.init`, which listens itself."""
        if threading.current_thread() is threading.main_thread():  # no other thread may
            for number in SIGNALS:
                signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            self._at_second()
            os._exit(128 + number)
        self.number = number
        os.write(2, _NOTICE)

    @property
    def patience(self) -> float:
        """Seconds that trials have to end. Only after a signal came."""
        assert self.number is not None
        return PATIENCE[signal.Signals(self.number)]

    def check(self) -> None:
        """Raises `Stopped` if a signal came."""
        if self.number is not None:
            raise Stopped(self.number)


@contextlib.contextmanager
def stop_signals(at_second: Callable[[], None]) -> Iterator[StopRequest]:
    """Note the first Ctrl-C or SIGTERM; the second calls `at_second` and ends the process.

    Outside the main thread, where Python does not let handlers be set, nothing is changed.
    """
    before = {number: signal.getsignal(number) for number in SIGNALS}
    request = StopRequest(at_second)
    request.arm()
    try:
        yield request
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def descendants() -> list[psutil.Process]:
    """All processes below this one."""
    return psutil.Process().children(recursive=True)


def end_processes(processes: Iterable[psutil.Process], patience: float = 5.0) -> None:
    """Wait for processes to end by themselves, then kill those that have not."""
    _, alive = psutil.wait_procs(list(processes), timeout=patience)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=patience)

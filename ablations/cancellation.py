"""Stopping and cancelling: signals, the stop flag of a sweep, time limits, ending processes.

Ctrl-C, SIGTERM and the SIGHUP of a closed terminal reach the process of the command
(`stop_signals`). It asks its trials to stop through the store, where `StopFlag` sees it on any
machine, and gives them seconds to save a checkpoint and raise `Interrupted`. A second signal does
not wait. The time of a trial is watched
by the trial's own process (`time_limit`).
"""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

import psutil

from ablations.trial_interface import (
    TIMED_OUT,
    TrialOptions,
    failed_result,
    store_result,
    stored_result,
)
from bench.store.cell import Cell
from bench.store.store import Store

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)

#: Seconds that trials have to save a checkpoint and end. Who sends SIGTERM (Slurm, a cloud that
#: takes its machine back) sends SIGKILL half a minute later; who presses Ctrl-C is waiting, and
#: who presses Ctrl-\\ does not.
PATIENCE = {
    signal.SIGINT: 5.0,
    signal.SIGTERM: 20.0,
    signal.SIGHUP: 20.0,
    signal.SIGQUIT: 0.0,
}

#: `timeout` and others send their signal twice at once, which is not meant as a second one.
_ECHO_SECONDS = 1.0

_NOTICE = b"\nstopping; what is finished is stored (once more ends it without cleaning up)\n"

#: Seconds between two looks at the store, a local folder or another.
_LOCAL_SECONDS, _REMOTE_SECONDS = 0.5, 10.0

#: Seconds given to a trial whose time is over to say so, before the process is ended without it.
_LAST_WORDS_SECONDS = 15.0

_TIMED_OUT_STATUS = 17

_PR_SET_NAME = 15


class Interrupted(Exception):
    """Raised when a trial is asked to stop; a checkpoint has been saved if there is a store."""


class RankLost(Exception):
    """Raised when the process of another rank has died; this one cannot finish the trial."""


class RankFailed(Exception):
    """Raised in rank 0 when another rank has failed where this one did not.

    Attributes:
        kind, message: of its failure.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Stopped(BaseException):
    """Raised in the driver of a sweep, or by `attnbench run`, after a signal.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number

    @property
    def status(self) -> int:
        """Exit status by the shells' convention: 130 for Ctrl-C, 143 for SIGTERM, 129 for SIGHUP,
        131 for SIGQUIT."""
        return 128 + self.number


class StopRequest:
    """Whether a signal came. Nothing is raised out of signal handlers, since Ray's C++ code
    crashes on exceptions that appear in the middle of it; `check` raises where it is safe.

    Attributes:
        number: of the signal, or None.
        gave_up: whether it is no signal, but `give_up` that asks to stop.
    """

    def __init__(self, at_second: Callable[[], None]) -> None:
        self.number: int | None = None
        self.gave_up = False
        self._at_second = at_second
        self._at = 0.0
        self._deadline: float | None = None
        # With `nohup`, a terminal that is closed does not matter.
        ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        self._signals = [one for one in SIGNALS if not (ignored and one == signal.SIGHUP)]

    def arm(self) -> None:
        """Listen to the signals. To be called again after others have set their handlers."""
        if threading.current_thread() is threading.main_thread():  # no other thread may
            for number in self._signals:
                signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.number is None:
            self.number, self._at = number, now
            with contextlib.suppress(OSError):  # a terminal that is gone
                os.write(2, _NOTICE)
        elif number == signal.SIGINT or (
            number != signal.SIGHUP and now - self._at > _ECHO_SECONDS
        ):
            self._at_second()
            os._exit(128 + number)

    def give_up(self) -> None:
        """Stop as Ctrl-C does, unless a signal has come."""
        if self.number is None:
            self.number, self.gave_up = signal.SIGINT, True

    def asked(self) -> bool:
        """Whether a signal came, for a trial in this process. Listens anew, since Lightning's own
        handlers would end the process."""
        self.arm()
        return self.number is not None

    def check(self) -> None:
        """Raise `Stopped` if a signal came."""
        if self.number is not None:
            raise Stopped(self.number)

    def stop_trials(self, options: TrialOptions, *, running: bool) -> None:
        """Once a signal came, ask the running trials of a sweep to end; raise `Stopped` when they
        have, or have had their time. To be called again and again.

        Args:
            running: whether there are any trials that run.
        """
        if self.number is None:
            return
        if self._deadline is None:
            self._deadline = time.monotonic() + PATIENCE[signal.Signals(self.number)]
            store = options.store()
            assert store is not None and options.sweep is not None
            try:
                store.ask_to_stop(options.sweep)
            except (OSError, ValueError):  # no trial will learn of it
                self.check()
        if not running or time.monotonic() >= self._deadline:
            self.check()


@contextlib.contextmanager
def stop_signals(at_second: Callable[[], None]) -> Iterator[StopRequest]:
    """Note the first of `SIGNALS`; the second calls `at_second` and ends the process.

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
    def of(cls, options: TrialOptions) -> StopFlag | None:
        """The flag of the sweep that a trial belongs to; None for a trial outside a sweep."""
        store = options.store()
        return None if store is None or options.sweep is None else cls(store, options.sweep)

    def __call__(self) -> bool:
        now = self._clock()
        if not self._asked and now >= self._next:
            self._next = now + self._every
            # A store that cannot be reached for a moment asks for nothing.
            with contextlib.suppress(Exception):
                self._asked = self._store.is_asked_to_stop(self._sweep)
        return self._asked


@contextlib.contextmanager
def time_limit(cell: Cell, options: TrialOptions, started: str) -> Iterator[None]:
    """End this process, with a failed result of the cell in the store, if the block takes longer
    than a trial may.

    Nothing gentler stops code that hangs outside Python; the sweep starts another worker.
    """
    seconds = options.trial_seconds
    if seconds is None:
        yield
        return
    watch = threading.Timer(seconds, _end, (cell, options, started))
    watch.daemon = True
    watch.start()
    # In case that other threads of Python do not get their turn any more.
    faulthandler.dump_traceback_later(seconds + _LAST_WORDS_SECONDS, exit=True, file=2)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        watch.cancel()


def _end(cell: Cell, options: TrialOptions, started: str) -> None:
    message = f"it took longer than {options.trial_seconds:g} s"
    if stored_result(cell, options) is None:
        failure = failed_result(cell, TIMED_OUT, message, started=started, options=options)
        store_result(failure, options)
    os._exit(_TIMED_OUT_STATUS)


def name_process(name: str) -> None:
    """Give this process a name of at most 15 characters for `ps` and `top`, on Linux."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_NAME, name.encode(), 0, 0, 0)


def descendants() -> list[psutil.Process]:
    """All processes below this one."""
    return psutil.Process().children(recursive=True)


#: What a killed process may take to be gone, on a busy machine.
_DEATH_SECONDS = 10.0


def end_processes(processes: Iterable[psutil.Process], patience: float = 5.0) -> None:
    """Wait some seconds for processes to end by themselves, then kill the others."""
    _, alive = psutil.wait_procs(list(processes), timeout=patience)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(alive, timeout=_DEATH_SECONDS)  # and no zombie stays of those of ours


def kill_all() -> None:
    """Kill all processes below this one, without waiting for them to end."""
    for _ in range(3):  # some may have started others meanwhile
        end_processes(descendants(), patience=0.0)

"""Ctrl-C and SIGTERM: trials have seconds to save a checkpoint, no process is left behind; a second
signal does not wait for anything."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from types import FrameType

import psutil

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

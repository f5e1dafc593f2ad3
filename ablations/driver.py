"""The process that drives Ray, apart from the one that the user started.

Ray ends the process that drives it when its control process is gone, and waits for ever when a node
of its own is. The user's process therefore never touches Ray. It forks a driver, which starts Ray
and runs the trials; hears of them through a pipe; and sees whether Ray's processes live and trials
get on. A cluster that is lost is started again, with the cells that are left. However it ends, no
process stays behind: drivers die with the process that forked them, and Ray's with the driver.
"""

from __future__ import annotations

import contextlib
import ctypes
import itertools
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any, NoReturn

import psutil

from ablations.cancellation import SIGNALS, StopRequest, descendants, end_processes, name_process
from ablations.cluster import ClusterLost, RayFolder, Resources, cluster
from ablations.progress import Progress
from ablations.trial_interface import Outcome, TrialOptions
from ablations.trial_progress import TrialProgress
from bench.errors import UsageError
from bench.store.cell import Cell

#: Seconds for Ray to start, on a machine that is busy with other things.
_START_SECONDS = 300.0

#: A cluster is given up if nothing is heard of its trials for so many seconds while its workers
#: do next to nothing, less than this share of a core each.
_STALL_SECONDS, _IDLE_SHARE = 240.0, 0.03

#: Times a cluster is started again without a result since the last time.
_RESTARTS = 2

#: Seconds that a driver has to shut Ray down.
_PATIENCE = 10.0

_POLL_SECONDS, _LOOK_SECONDS, _STALL_LOOK_SECONDS = 0.2, 0.5, 5.0
_NODES_SECONDS = 2.0

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36


def drive(
    cells: Sequence[Cell],
    options: TrialOptions,
    resources: Resources,
    folder: RayFolder,
    trial_function: str,
    progress: Progress,
    request: StopRequest,
    *,
    early_stopping: Mapping[str, str] | None = None,
    fail_fast: bool = False,
) -> None:
    """Run the trials of these cells with `ablations.tune.run_trials` in a process apart.

    Args:
        folder: for Ray's and Tune's files.
        fail_fast: stop at the first failure.

    Raises:
        UsageError: no cluster at that address, or trials that need more than the cluster has.
        Stopped: a signal came; trials have had their time.
        ClusterLost: Ray was lost, started again, and lost again.
    """
    losses = 0
    with _adopting_orphans(), _suspending_together():
        for attempt in itertools.count():
            ended = len(progress.tally.outcomes)
            known = {outcome.hash for outcome in progress.tally.outcomes}
            known |= progress.tally.elsewhere.keys()
            left = [cell for cell in cells if cell.hash not in known]
            if not left:
                return
            work = (left, options, resources, folder, attempt, trial_function, early_stopping)
            driver = _Driver(work, progress, options, private=resources.address is None)
            try:
                driver.follow(request, fail_fast=fail_fast)
                return
            except ClusterLost as loss:
                request.check()  # Slurm, say, signals every process of a job
                losses = 1 if len(progress.tally.outcomes) > ended else losses + 1
                if losses > _RESTARTS:
                    raise
                _forget_running(progress)
                progress.begin(f"{loss}: starting Ray again")
            except UsageError as error:
                if not attempt:
                    raise
                raise ClusterLost(str(error)) from error
            finally:
                driver.close()


def _forget_running(progress: Progress) -> None:
    for hash in list(progress.tally.running):
        progress.finished(Outcome(hash, "interrupted"))


class _Driver:
    """A driver, seen from the process that forked it.

    Args:
        work: arguments of `_work`.
        private: whether it starts a cluster of its own, whose processes are on this machine.
    """

    def __init__(
        self, work: tuple[Any, ...], progress: Progress, options: TrialOptions, *, private: bool
    ) -> None:
        self._progress, self._options, self._private = progress, options, private
        self._before = {process.pid for process in descendants()}
        self._essential: dict[psutil.Process, str] = {}  # Ray's, by name
        self._state = "starting"
        self._looks, self._next_look = 0, 0.0  # in this state; a machine that sleeps does not look
        self._idle = _Idleness()
        fork = multiprocessing.get_context("fork")  # as fast as can be, and Ray forks anyway
        self._pipe, there = fork.Pipe()
        self._process = fork.Process(target=_main, args=(there, work, os.getpid()), daemon=True)
        self._process.start()
        there.close()

    def follow(self, request: StopRequest, *, fail_fast: bool = False) -> None:
        """Pass on what the driver tells until it has ended. Raises what `drive` does."""
        awaited: set[str] | None = None  # running when the signal came: others end at once
        while self._state != "ended":
            if request.number is not None:
                running = set(self._progress.tally.running)
                awaited = running if awaited is None else awaited & running
            request.stop_trials(self._options, running=bool(awaited))
            if self._pipe.poll(_POLL_SECONDS):
                self._hear()
            if fail_fast and self._progress.tally.failed:
                request.give_up()
            self._progress.tick()
            if time.monotonic() >= self._next_look:
                self._next_look = time.monotonic() + _LOOK_SECONDS
                self._looks += 1
                self._look()

    def close(self) -> None:
        """End the driver and everything it started."""
        with contextlib.suppress(OSError):
            self._pipe.send("stop")
        if self._state in ("running", "ending", "ended"):
            self._process.join(_PATIENCE)
        self._process.kill()
        self._process.join()
        for _ in range(3):  # killing takes a moment, in which there may be more of them
            end_processes((p for p in descendants() if p.pid not in self._before), patience=0.0)
        self._pipe.close()

    def _hear(self) -> None:
        try:
            what, *arguments = self._pipe.recv()
        except (EOFError, OSError, pickle.UnpicklingError):
            self._process.join(_PATIENCE)
            if self._state == "ending":  # all trials have ended
                self._state = "ended"
                return
            self._lose(f"Ray's driver ended unexpectedly ({_end_of(self._process.exitcode)})")
        if what == "state":
            self._state, self._looks = arguments[0], 0
        elif what == "error":
            error, text = arguments
            error.add_note(text)
            raise error
        else:
            getattr(self._progress, what)(*arguments)
            if what != "machines":  # told of again and again
                self._idle.reset()

    def _look(self) -> None:
        """Raise ClusterLost if the driver gets nowhere."""
        waited = self._looks * _LOOK_SECONDS
        if self._state == "starting" and waited > _START_SECONDS:
            self._lose(f"Ray did not start within {_START_SECONDS:g} s")
        if self._state == "ending" and waited > _PATIENCE:
            self._state = "ended"  # there is nothing to wait for
        if self._state not in ("starting", "running") or not self._private:
            return
        self._essential |= _essential(self._process.pid)
        gone = [name for process, name in self._essential.items() if not _lives(process)]
        if gone:
            time.sleep(_LOOK_SECONDS)
            while self._state != "ending" and self._pipe.poll():
                self._hear()
            if self._state != "ending":
                self._lose(f"Ray's {gone[0]} process ended unexpectedly")
        if self._state != "running":
            return
        workers = [one for process in self._essential for one in _children(process)]
        longest = _STALL_SECONDS
        if self._progress.tally.running and self._options.trial_seconds is not None:
            longest = max(longest, self._options.trial_seconds + 60)  # which ends them itself
        if self._idle.seconds(workers) > longest:
            self._lose(f"no trial got on for {longest:g} s")

    def _lose(self, reason: str) -> NoReturn:
        self._state = "lost"
        raise ClusterLost(reason)


class _Idleness:
    """How long the workers of a cluster have been idle."""

    def __init__(self) -> None:
        self._looks, self._next = 0, 0.0
        self._used: dict[int, float] = {}

    def reset(self) -> None:
        self._looks = 0

    def seconds(self, workers: Sequence[psutil.Process]) -> float:
        """Seconds for which they have used next to no time of the cores, as of the last look."""
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + _STALL_LOOK_SECONDS
            used = {process.pid: _cpu_seconds(process) for process in workers}
            spent = sum(seconds - self._used.get(pid, 0.0) for pid, seconds in used.items())
            busy = spent > _IDLE_SHARE * _STALL_LOOK_SECONDS * max(1, len(used))
            self._used, self._looks = used, 0 if busy else self._looks + 1
        return self._looks * _STALL_LOOK_SECONDS


def _essential(driver: int | None) -> dict[psutil.Process, str]:
    """Ray's processes without which nothing works."""
    found: dict[psutil.Process, str] = {}
    with contextlib.suppress(psutil.Error):
        for process in psutil.Process(driver).children():
            name = process.name()
            if name in ("raylet", "gcs_server"):
                found[process] = name
    return found


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children()
    except psutil.Error:
        return []


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _cpu_seconds(process: psutil.Process) -> float:
    try:
        return sum(process.cpu_times()[:4])  # with those of its children
    except psutil.Error:
        return 0.0


def _end_of(status: int | None) -> str:
    if status is not None and status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    return f"status {status}"


@contextlib.contextmanager
def _adopting_orphans() -> Iterator[None]:
    """Become the parent of processes below this one whose own parent is killed (on Linux), so that
    they can be found."""
    _set_process(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        _set_process(_PR_SET_CHILD_SUBREAPER, 0)


@contextlib.contextmanager
def _suspending_together() -> Iterator[None]:
    """Let Ctrl-Z stop the processes below this one as well, which the terminal does not reach."""

    def suspend(number: int, frame: FrameType | None) -> None:
        below = descendants()
        for process in below:
            with contextlib.suppress(psutil.Error):
                process.suspend()
        os.kill(os.getpid(), signal.SIGSTOP)  # and, once this one goes on:
        for process in below:
            with contextlib.suppress(psutil.Error):
                process.resume()

    try:
        before = signal.signal(signal.SIGTSTP, suspend)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)


def _set_process(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


# In the driver


class _Messenger:
    """Stands in for `Progress` in the driver."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._looked = 0.0

    def state(self, state: str) -> None:
        """What the driver is about: running, ending or ended."""
        self._pipe.send(("state", state))

    def note(self, line: str) -> None:
        self._pipe.send(("note", line))

    def ready(self, slots: int) -> None:
        self._pipe.send(("ready", slots))

    def started(self, hash: str) -> None:
        self._pipe.send(("started", hash))

    def located(self, hash: str, node: str) -> None:
        self._pipe.send(("located", hash, node))

    def advanced(self, hash: str, progress: TrialProgress) -> None:
        self._pipe.send(("advanced", hash, progress))

    def finished(self, outcome: Outcome) -> None:
        self._pipe.send(("finished", outcome))

    def tick(self) -> None:
        """Raise `_Asked` if the driver is to end."""
        if self._pipe.poll():
            raise _Asked
        now = time.monotonic()
        if now - self._looked >= _NODES_SECONDS:
            from ablations.tune import nodes

            self._looked = now
            self._pipe.send(("machines", nodes()))


class _Asked(BaseException):
    """Raised in a driver that is asked to end."""


def _main(pipe: Connection, work: tuple[Any, ...], parent: int) -> None:
    _set_process(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        return
    name_process("sweep-driver")
    os.setsid()  # signals of the terminal are for the parent
    for number in (*SIGNALS, signal.SIGTSTP):
        signal.signal(number, signal.SIG_DFL)
    messenger = _Messenger(pipe)
    try:
        _work(messenger, *work)
        messenger.state("ended")
    except _Asked:
        messenger.state("ended")
    except BaseException as error:
        text = traceback.format_exc()
        try:
            pipe.send(("error", error, text))
        except (TypeError, AttributeError, pickle.PicklingError):
            pipe.send(("error", RuntimeError(f"{type(error).__name__}: {error}"), text))


def _work(
    messenger: _Messenger,
    cells: Sequence[Cell],
    options: TrialOptions,
    resources: Resources,
    folder: RayFolder,
    attempt: int,
    trial_function: str,
    early_stopping: Mapping[str, str] | None,
) -> None:
    # Ray tells its story there, pages of it; what matters is told by the parent.
    with (folder.path / "driver.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    tempfile.tempdir = str(folder.short)  # what libraries leave there goes with the folder
    with cluster(resources, folder) as dashboard:
        from ablations.tune import run_trials

        if dashboard:
            messenger.note(dashboard)
        messenger.state("running")
        place = folder.path / f"tune-{attempt}"
        run_trials(
            cells,
            options,
            resources,
            place,
            trial_function,
            messenger,
            early_stopping=early_stopping,
        )
        messenger.state("ending")

"""The driver without Ray: what becomes of it, seen from the process that forks it."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from fake_trials import fake_cell, fake_result

from ablations import driver
from ablations.cancellation import Stopped, StopRequest, descendants
from ablations.cluster import ClusterLost, RayFolder, Resources
from ablations.progress import LineRenderer, NodeUse, Progress, Tally
from ablations.trial_interface import Outcome, TrialOptions
from bench.errors import UsageError
from bench.store.store import Store

CELLS = [fake_cell(number) for number in range(3)]


def outcome(number: int) -> Outcome:
    return Outcome.of(fake_result(CELLS[number]), 1.0)


class Drive:
    """Runs `drive` with something else in place of Ray and the trials."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.told = io.StringIO()
        tally = Tally({cell.hash: cell.label for cell in CELLS})
        self.progress = Progress(tally, [LineRenderer(self.told)])
        self.request = StopRequest(lambda: None)
        store = Store.open(folder / "store", create=True)
        self._options = TrialOptions(store.address, None, str(folder), sweep="one")
        self._folder, self._monkeypatch = RayFolder(folder, folder), monkeypatch

    def __call__(self, work: Callable[..., None], address: str | None = None) -> None:
        """Run it; `work` is called with the messenger, cells left and number of the attempt."""

        def adapted(messenger: Any, cells: Any, *rest: Any) -> None:
            work(messenger, cells, rest[3])

        self._monkeypatch.setattr(driver, "_work", adapted)
        resources = Resources(address=address)
        rest = (self._folder, "fake_trials:run", self.progress, self.request)
        driver.drive(CELLS, self._options, resources, *rest)


@pytest.fixture
def drive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Drive]:
    before = {process.pid for process in descendants()}
    yield Drive(tmp_path, monkeypatch)
    assert {process.pid for process in descendants()} <= before


def test_what_a_driver_hears_reaches_the_progress(drive: Drive) -> None:
    node = NodeUse("here", 2, 0, alive=True)

    def work(messenger: Any, cells: Any, attempt: int) -> None:
        messenger.note("Ray's dashboard: http://127.0.0.1:8265")
        messenger.state("running")
        messenger.ready(2)
        messenger.started(cells[0].hash)
        messenger.located(cells[0].hash, "here")
        messenger._pipe.send(("machines", [node]))
        messenger.finished(outcome(0))

    drive(work)
    tally = drive.progress.tally
    assert (tally.slots, tally.running, tally.outcomes) == (2, {}, [outcome(0)])
    assert tally.ended == {"here": 1}
    assert drive.progress.nodes == [node]
    assert "Ray's dashboard: http://127.0.0.1:8265" in drive.told.getvalue().splitlines()


@pytest.mark.parametrize("how", ["exits", "is killed", "raises"])
def test_a_driver_that_is_lost_goes_on_with_what_is_left(drive: Drive, how: str) -> None:
    def work(messenger: Any, cells: Any, attempt: int) -> None:
        messenger.state("running")
        if attempt:
            assert cells == CELLS[1:]
            for number in (1, 2):
                messenger.finished(outcome(number))
            return
        messenger.finished(outcome(0))
        messenger.started(CELLS[1].hash)
        if how == "raises":
            raise ClusterLost("Ray did not start")
        os.write(2, b"a page of text\n" * 50)
        os._exit(1) if how == "exits" else os.kill(os.getpid(), signal.SIGKILL)

    drive(work)
    assert drive.progress.tally.outcomes == [outcome(number) for number in range(3)]
    assert drive.progress.tally.running == {}
    said = {
        "exits": "Ray's driver ended unexpectedly (status 1)",
        "is killed": "Ray's driver ended unexpectedly (SIGKILL)",
        "raises": "Ray did not start",
    }
    assert f"{said[how]}: starting Ray again\n" in drive.told.getvalue()


@pytest.mark.parametrize("state", ["running", "ending"])
def test_a_driver_that_is_lost_after_the_last_trial_is_not_missed(drive: Drive, state: str) -> None:
    def work(messenger: Any, cells: Any, attempt: int) -> None:
        assert not attempt
        for number in range(3):
            messenger.finished(outcome(number))
        messenger.state(state)
        os._exit(1)

    drive(work)
    assert len(drive.progress.tally.outcomes) == len(CELLS)


def test_a_driver_that_is_lost_again_and_again_is_given_up(drive: Drive) -> None:
    with pytest.raises(ClusterLost, match="ended unexpectedly"):
        drive(lambda messenger, cells, attempt: os._exit(1))
    assert drive.told.getvalue().count("starting Ray again") == driver._RESTARTS


def test_a_driver_that_does_not_get_ray_to_start_is_given_up(
    drive: Drive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(driver, "_START_SECONDS", 1.0)
    with pytest.raises(ClusterLost, match="did not start within 1 s"):
        drive(lambda messenger, cells, attempt: time.sleep(600))


def test_mistakes_are_those_of_the_user_at_first_only(drive: Drive) -> None:
    def mistaken(messenger: Any, cells: Any, attempt: int) -> None:
        raise UsageError("no cluster there", where="--address x:1")

    with pytest.raises(UsageError, match="--address x:1: no cluster there"):
        drive(mistaken, "x:1")

    def leaves(messenger: Any, cells: Any, attempt: int) -> None:
        if attempt:
            mistaken(messenger, cells, attempt)
        os._exit(1)

    with pytest.raises(ClusterLost, match="no cluster there"):
        drive(leaves, "x:1")


def test_defects_show_where_they_come_from(drive: Drive) -> None:
    class Own(Exception):
        """Cannot be pickled."""

    def defect(messenger: Any, cells: Any, attempt: int) -> None:
        raise Own("unexpected")

    with pytest.raises(RuntimeError, match="Own: unexpected") as caught:
        drive(defect)
    assert "in defect" in "".join(caught.value.__notes__)


@pytest.mark.parametrize("obeys", [True, False])
def test_a_driver_is_stopped_whatever_it_does(
    drive: Drive, monkeypatch: pytest.MonkeyPatch, obeys: bool
) -> None:
    monkeypatch.setattr(driver, "_PATIENCE", 2.0)

    def work(messenger: Any, cells: Any, attempt: int) -> None:
        messenger.state("running")
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        os.kill(os.getppid(), signal.SIGUSR1)
        while True:
            time.sleep(0.05)
            if obeys:
                messenger.tick()

    monkeypatch.setattr("ablations.tune.nodes", list)

    def press(*arguments: Any) -> None:
        drive.request.number = signal.SIGINT

    before = signal.signal(signal.SIGUSR1, press)
    try:
        with pytest.raises(Stopped):
            drive(work)
    finally:
        signal.signal(signal.SIGUSR1, before)


class Worker:
    """A worker that has used so many seconds of a core."""

    pid = 1

    def __init__(self) -> None:
        self.used = 0.0

    def cpu_times(self) -> tuple[float, ...]:
        return (self.used, 0.0, 0.0, 0.0)


def test_workers_that_do_nothing_are_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(driver.time, "monotonic", lambda: now[0])
    idle, worker = driver._Idleness(), Worker()
    workers: list[psutil.Process] = [worker]  # type: ignore[list-item]

    def passes(seconds: float, share: float) -> float:
        for _ in range(int(seconds)):
            now[0] += 1
            worker.used += share
            found = idle.seconds(workers)
        return found

    idle.seconds(workers)
    assert passes(60, share=0.5) == 0
    assert passes(60, share=0.01) == 60
    idle.reset()
    assert passes(30, share=0.01) == 30
    assert passes(5, share=0.2) == 0

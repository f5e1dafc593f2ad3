from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from fake_trials import fake_cell
from marked_processes import SUPPORT

from ablations import cancellation
from ablations.cancellation import (
    StopFlag,
    Stopped,
    StopRequest,
    descendants,
    end_processes,
    stop_signals,
    time_limit,
)
from ablations.cell_runner import run_cell
from ablations.trial_interface import TrialOptions
from bench.store.result import utc_now
from bench.store.store import Store


@pytest.fixture(autouse=True)
def _not_under_nohup() -> Iterator[None]:
    """SIGHUP as a terminal leaves it: under nohup it is ignored, and `stop_signals` lets it be."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, 130),
        (signal.SIGTERM, 143),
        (signal.SIGHUP, 129),
        (signal.SIGQUIT, 131),
    ],
)
def test_a_signal_is_noted_and_raised_where_it_is_safe(
    number: signal.Signals, status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    before = signal.getsignal(number)
    with stop_signals(at_second=lambda: None) as request:
        request.check()
        os.kill(os.getpid(), number)
        with pytest.raises(Stopped) as caught:
            request.check()
    assert caught.value.status == status
    assert "stopping" in capfd.readouterr().err
    assert signal.getsignal(number) is before


def test_somebody_who_listens_meanwhile_is_overruled() -> None:
    with stop_signals(at_second=lambda: None) as request:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)  # as ray.init does
        request.arm()
        os.kill(os.getpid(), signal.SIGTERM)
        assert request.number == signal.SIGTERM


def test_the_second_signal_ends_the_process_at_once() -> None:
    code = (
        "import os, signal; from ablations.cancellation import stop_signals\n"
        "with stop_signals(at_second=lambda: print('killed', flush=True)):\n"
        "    os.kill(os.getpid(), signal.SIGINT); os.kill(os.getpid(), signal.SIGINT)\n"
        "    print('never')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (130, "killed\n")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM])
def test_signals_that_are_sent_twice_at_once_count_once(number: signal.Signals) -> None:
    with stop_signals(at_second=lambda: os._exit(1)) as request:
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGHUP)  # as a shell that ends sends it, too
    assert request.number == number


def test_a_closed_terminal_does_not_matter_with_nohup() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_signals(at_second=lambda: None) as request:
            os.kill(os.getpid(), signal.SIGHUP)
            assert request.number is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_outside_the_main_thread_nothing_is_changed() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    seen = []

    def run() -> None:
        with stop_signals(at_second=lambda: None) as request:
            request.check()
            seen.append([signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)])

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]


def test_processes_that_do_not_end_are_killed() -> None:
    stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
    child = subprocess.Popen([sys.executable, "-c", stubborn])
    assert child.pid in {process.pid for process in descendants()}
    begun = time.monotonic()
    end_processes([psutil.Process(child.pid)], patience=0.2)
    child.wait(timeout=5)
    assert not psutil.pid_exists(child.pid)
    assert time.monotonic() - begun < 5


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store", create=True)


def context(store: Store, **changed: object) -> TrialOptions:
    return TrialOptions(store.address, None, str(store.cache), sweep="one", **changed)  # type: ignore[arg-type]


def test_a_flag_looks_now_and_then(store: Store) -> None:
    now = [0.0]
    flag = StopFlag(store, "one", lambda: now[0])
    assert not flag()
    store.ask_to_stop("one")
    assert not flag(), "it has just looked"
    now[0] += 60
    assert flag()
    store.end_sweep("one")
    assert flag(), "there is no way back"


def test_a_stop_is_raised_at_once_where_nothing_runs(store: Store) -> None:
    request = StopRequest(lambda: None)
    request.stop_trials(context(store), running=False)
    request.number = 15
    with pytest.raises(Stopped):
        request.stop_trials(context(store), running=False)


def test_running_trials_are_asked_to_stop_and_waited_for(store: Store) -> None:
    request = StopRequest(lambda: None)
    request.number = 15
    request.stop_trials(context(store), running=True)
    assert store.is_asked_to_stop("one")
    request.stop_trials(context(store), running=True)
    with pytest.raises(Stopped):
        request.stop_trials(context(store), running=False)


def test_trials_that_do_not_end_are_not_waited_for_longer(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(cancellation.PATIENCE, 15, 0.0)
    request = StopRequest(lambda: None)
    request.number = 15
    with pytest.raises(Stopped):
        request.stop_trials(context(store), running=True)


def test_another_sweep_is_not_meant(store: Store) -> None:
    store.ask_to_stop("two")
    assert not StopFlag(store, "one")()


def test_a_store_that_is_away_asks_for_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(sweep: str) -> bool:
        raise ConnectionError

    monkeypatch.setattr(store, "is_asked_to_stop", away)
    assert not StopFlag(store, "one")()


def test_trials_alone_have_no_flag(store: Store) -> None:
    assert StopFlag.of(TrialOptions(store.address, None, "")) is None
    assert StopFlag.of(TrialOptions(None, None, "", sweep="one")) is None


def test_no_trial_begins_after_a_stop(store: Store) -> None:
    store.ask_to_stop("one")
    outcome = run_cell(fake_cell(1), context(store), "fake_trials:run")
    assert outcome.status == "interrupted"
    assert not (store.cache / "visits").exists()


def test_a_trial_in_time_is_left_alone(store: Store) -> None:
    with time_limit(fake_cell(1), context(store, trial_seconds=60.0), utc_now()):
        pass
    assert store.hashes() == []


@pytest.mark.parametrize("hangs", ["time.sleep(60)", "l.acquire()"])
def test_a_trial_that_hangs_ends_its_process_with_a_result(store: Store, hangs: str) -> None:
    script = f"""
import sys, threading, time
sys.path.insert(0, {str(SUPPORT)!r})
from fake_trials import fake_cell
from ablations.trial_interface import TrialOptions
from ablations.cancellation import time_limit
l = threading.Lock(); l.acquire()
context = TrialOptions({store.address!r}, None, "", trial_seconds=0.2)
with time_limit(fake_cell(1), context, "2026-01-01T00:00:00.000Z"):
    {hangs}
"""
    ended = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert ended.returncode == 17
    failure = store.get(fake_cell(1).hash).failure
    assert failure is not None
    assert (failure.kind, failure.message) == ("timed out", "it took longer than 0.2 s")


def test_what_timed_out_is_not_tried_again_in_the_same_sweep(store: Store) -> None:
    from ablations.trial_interface import TIMED_OUT, failed_result

    cell = fake_cell(1)
    store.put(failed_result(cell, TIMED_OUT, "late", started="2026-01-02T00:00:00.000Z"))
    same = context(store, sweep_began="2026-01-01T00:00:00.000Z")
    assert run_cell(cell, same, "fake_trials:run").failure == (TIMED_OUT, "late")
    later = context(store, sweep_began="2026-01-03T00:00:00.000Z")
    assert run_cell(cell, later, "fake_trials:run").status == "done"

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from ablations.cancellation import Stopped, descendants, end_processes, stop_signals


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
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

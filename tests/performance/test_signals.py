"""Sweeps of fake trials with a signal for one of their processes at some moment: they end in time,
leave no process, say what happened in lines, and what is left is done by running them again. Takes
half an hour, so it is run with the benchmarks:

    python -m pytest tests/performance/test_signals.py -m performance -s
"""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest
from struck_sweep import PROCESSES, Struck

pytestmark = pytest.mark.performance

SIGNALS = {
    "command": ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGKILL"),
    "driver": ("SIGTERM", "SIGKILL", "SIGSEGV"),
    "guard": ("SIGKILL",),
    "raylet": ("SIGTERM", "SIGKILL", "SIGSTOP"),
    "gcs_server": ("SIGTERM", "SIGKILL", "SIGSTOP"),
    "worker": ("SIGTERM", "SIGKILL"),
    "helper": ("SIGTERM", "SIGKILL"),
}
ROUNDS = [(kind, name) for kind in PROCESSES for name in SIGNALS[kind]]


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("results", [0, 4], ids=["at first", "in the middle"])
@pytest.mark.parametrize(("kind", "name"), ROUNDS, ids=lambda value: value)
def test_a_signal(tmp_path: Path, kind: str, name: str, results: int) -> None:
    number, struck = signal.Signals[name], Struck(tmp_path)
    try:
        struck.strike(kind, number, results)
        begun = time.monotonic()
        status = struck.ended(900)
        print(f"\n{name} for {kind} after {results}: {status}, {time.monotonic() - begun:.0f} s")
        if kind == "command":
            expected = -number if number == signal.SIGKILL else 128 + number
            assert status == expected, struck.run.stderr
        else:
            assert status in (0, 1), struck.run.stderr
        if status != 0:
            struck.start()
            assert struck.ended(900) == 0, struck.run.stderr
        struck.check_store()
    finally:
        struck.run.kill()

"""A signal for one process of a sweep; `tests/performance/test_signals.py` has many more."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from struck_sweep import Struck


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("kind", "number"),
    [
        ("raylet", signal.SIGTERM),
        ("gcs_server", signal.SIGKILL),
        ("driver", signal.SIGKILL),
    ],
)
def test_a_sweep_goes_on_where_ray_is_lost(
    tmp_path: Path, kind: str, number: signal.Signals
) -> None:
    struck = Struck(tmp_path)
    try:
        struck.strike(kind, number, results=4)
        assert struck.ended(600) == 0, struck.run.stderr
        assert "ended unexpectedly" in struck.run.stderr
        struck.check_store()
    finally:
        struck.run.kill()


@pytest.mark.timeout(600)
def test_a_sweep_ends_with_its_terminal(tmp_path: Path) -> None:
    struck = Struck(tmp_path)
    try:
        struck.strike("command", signal.SIGHUP, results=1)
        assert struck.ended(60) == 129, struck.run.stderr
        assert list((struck.path / "ray").iterdir()) == []
    finally:
        struck.run.kill()

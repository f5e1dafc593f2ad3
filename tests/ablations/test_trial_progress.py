from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from ablations.fit import _ReportSteps
from ablations.trial import run_trial
from ablations.trial_interface import TrialHooks, TrialOptions
from ablations.trial_progress import TrialProgress, duration, shown_on
from tasks.plan import make_cell


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 s"), (42, "42 s"), (100, "2 min"), (3600, "60 min"), (7500, "2 h 05 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_steps_are_told_of_now_and_then() -> None:
    told: list[TrialProgress] = []
    now = 0.0
    follow = _ReportSteps(TrialHooks(progress=told.append, progress_seconds=2.0), lambda: now)
    for step in range(41, 61):  # went on from a checkpoint, ten steps a second from the first on
        now += 3.0 if step == 41 else 0.1
        trainer: Any = SimpleNamespace(global_step=step, max_steps=100)
        outputs = {"loss": torch.tensor(float("nan") if step == 41 else 60.0 - step)}
        follow.on_train_batch_end(trainer, SimpleNamespace(), outputs, None, 0)  # type: ignore[arg-type]
    assert told[0] == TrialProgress("training", 41, 100), "no rate yet, and no loss to show"
    assert len(told) == 1
    now += 0.2
    trainer = SimpleNamespace(global_step=61, max_steps=100)
    follow.on_train_batch_end(trainer, SimpleNamespace(), {"loss": torch.tensor(2.5)}, None, 0)  # type: ignore[arg-type]
    assert told[1].loss == 2.5 and told[1].rate == pytest.approx(20 / 2.1)
    assert told[1].seconds_left == pytest.approx(39 * 2.1 / 20)


def test_a_real_trial_tells_its_phases_in_order(tmp_path: Path) -> None:
    told: list[TrialProgress] = []
    cell = make_cell("translation", "soft", budget="smoke", options={"max_steps": 5})
    hooks = TrialHooks(progress=told.append, progress_seconds=0.0)
    result = run_trial(cell, TrialOptions(None, None, str(tmp_path)), hooks)
    assert result.status == "done"
    phases = [progress.phase for progress in told]
    assert phases == ["preparing", *["training"] * 5, "testing"]
    assert [progress.step for progress in told[1:6]] == [1, 2, 3, 4, 5]
    assert all(progress.steps == 5 and progress.loss for progress in told[1:6])


def test_a_log_gets_a_line_now_and_then() -> None:
    stream = io.StringIO()
    now = 0.0
    with shown_on(stream, clock=lambda: now) as show:
        for now in range(61):
            show(TrialProgress("training", 10 * now, 1200, 3.2, 10.0))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 6
    assert lines[0] == "step 100 of 1,200, 10 steps/s, loss 3.2, about 2 min left, then tests"


def test_a_terminal_gets_a_bar_that_goes_away() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with shown_on(stream) as show:
        show(TrialProgress("preparing"))
        show(TrialProgress("training", 600, 1200, 3.2, 10.0))
        show(TrialProgress("testing", 1200, 1200))
    assert "preparing data" in stream.getvalue()
    assert stream.getvalue().endswith("\x1b[2K"), "the line is cleared"


def test_a_reader_that_has_gone_stops_nothing() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    now = 0.0
    with shown_on(Gone(), clock=lambda: now) as show:
        now = 60.0
        show(TrialProgress("testing"))

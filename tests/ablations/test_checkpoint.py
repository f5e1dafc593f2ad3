from __future__ import annotations

import errno
import io
import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from ablations.cancellation import Interrupted
from ablations.checkpoint import random_state, restore_random_state
from ablations.fit import seed_all
from ablations.trial import run_trial
from ablations.trial_interface import TrialHooks, TrialOptions
from bench.store.result import Result
from bench.store.store import Store
from tasks.base import tasks
from tasks.plan import make_cell
from tasks.translation.datasets.synthetic import SyntheticDataset

CASES = [
    ("translation", "soft", {}),
    ("translation", "hard", {"dropout": 0.3}),
    ("translation", "self", {"schedule": "inverse-sqrt"}),
    ("captioning", "soft", {"crop": 0.2, "flip": 0.5}),
    ("entailment", "hard", {}),
    ("speech", "global", {"mask_bands": 4, "short_first": 1}),
    ("summarization", "multi-step", {}),
    ("summarization", "soft", {"coverage_loss": 1.0, "coverage_start": 0.5}),
]


class AfterSteps:
    """Asks to stop before the step after so many."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def __call__(self) -> bool:
        self._left -= 1
        return self._left < 0


@pytest.fixture
def context(tmp_path: Path) -> Callable[[str], TrialOptions]:
    def make(name: str) -> TrialOptions:
        store = Store.open(tmp_path / name, create=True)
        return TrialOptions(store.address, None, str(tmp_path / "cache"))

    return make


def test_every_task_is_tried() -> None:
    assert {task for task, _, _ in CASES} == set(tasks.names())


@pytest.mark.parametrize(("task", "attention", "options"), CASES)
def test_an_interrupted_trial_ends_as_one_that_was_not(
    task: str, attention: str, options: dict[str, Any], context: Callable[[str], TrialOptions]
) -> None:
    cell = make_cell(task, attention, budget="smoke", options={**options, "max_steps": 8})
    whole, parts = context("whole"), context("parts")
    expected = run_trial(cell, whole)
    assert expected.status == "done", expected.failure
    # Before, at and after a validation (every 4 steps), and twice.
    for steps in (3, 1, 2):
        with pytest.raises(Interrupted):
            run_trial(cell, parts, TrialHooks(asked_to_stop=AfterSteps(steps)))
    result = run_trial(cell, parts)
    assert _figures(result) == _figures(expected)
    assert parts.store_address is not None and whole.store_address is not None
    held, other = Store.open(parts.store_address), Store.open(whole.store_address)
    assert held.predictions(cell.hash) == other.predictions(cell.hash)
    assert held.traces(cell.hash) == other.traces(cell.hash)
    assert held.checkpoint(cell.hash) is None


def _figures(result: Result) -> str:
    record = result.to_json()
    curve = [{k: v for k, v in point.items() if k != "seconds"} for point in record["curve"]]
    metrics = {k: v for k, v in record["metrics"].items() if "second" not in k}
    return json.dumps([metrics, record["by_length"], record["alignment"], curve])


def test_the_processor_time_before_an_interruption_counts(
    context: Callable[[str], TrialOptions],
) -> None:
    cell = make_cell("translation", "soft", budget="smoke", options={"max_steps": 4})
    stop = AfterSteps(2)

    def busy_until_stopped() -> bool:
        ends = time.process_time() + 1.0
        while time.process_time() < ends:
            pass
        return stop()

    options = context("parts")
    whole = run_trial(cell, context("whole")).cost.core_seconds
    with pytest.raises(Interrupted):
        run_trial(cell, options, TrialHooks(asked_to_stop=busy_until_stopped))
    resumed = run_trial(cell, options).cost.core_seconds
    assert whole is not None and resumed is not None and resumed > 2.0


def test_all_generators_go_on_where_they_were() -> None:
    def drawn() -> list[float]:
        return [random.gauss(0, 1), float(np.random.normal()), float(torch.randn(()))]

    seed_all(5)
    drawn()  # of two normal numbers that are made at once, the second one is kept
    kept = io.BytesIO()
    torch.save(random_state(), kept)
    expected = [drawn() for _ in range(3)]
    seed_all(6)
    restore_random_state(torch.load(io.BytesIO(kept.getvalue()), weights_only=True))
    assert [drawn() for _ in range(3)] == expected


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut"])
def test_what_cannot_be_used_is_not(content: bytes, context: Callable[[str], TrialOptions]) -> None:
    cell = make_cell("translation", "soft", budget="smoke", options={"max_steps": 4})
    clean, spoilt = context("clean"), context("spoilt")
    assert spoilt.store_address is not None
    Store.open(spoilt.store_address).put_checkpoint(cell.hash, content)
    assert _figures(run_trial(cell, spoilt)) == _figures(run_trial(cell, clean))


def test_checkpoints_are_saved_on_the_way(context: Callable[[str], TrialOptions]) -> None:
    cell = make_cell("translation", "soft", budget="smoke", options={"max_steps": 6})
    here = context("store")
    assert here.store_address is not None
    store = Store.open(here.store_address)
    seen: list[bool] = []

    def look() -> bool:
        seen.append(store.checkpoint(cell.hash) is not None)
        return False

    run_trial(cell, replace(here, checkpoint_seconds=0.0), TrialHooks(asked_to_stop=look))
    assert seen == [False, False, True, True, True, True]
    assert store.checkpoint(cell.hash) is None


def test_a_checkpoint_of_other_defaults_is_not_used(
    context: Callable[[str], TrialOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = make_cell("translation", "soft", budget="smoke", options={"max_steps": 4})
    clean, aged = context("clean"), context("aged")
    with monkeypatch.context() as before:
        usual = SyntheticDataset.settings
        before.setattr(
            SyntheticDataset,
            "settings",
            lambda *asked: {**usual(*asked), "learning_rate": 0.5},
        )
        with pytest.raises(Interrupted):
            run_trial(cell, aged, TrialHooks(asked_to_stop=AfterSteps(2)))
    assert aged.store_address is not None
    assert Store.open(aged.store_address).checkpoint(cell.hash) is not None
    assert _figures(run_trial(cell, aged)) == _figures(run_trial(cell, clean))


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_training(
    context: Callable[[str], TrialOptions], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(store: Store, hash: str, content: bytes) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(Store, "put_checkpoint", full)
    cell = make_cell("translation", "soft", budget="smoke", options={"max_steps": 4})
    result = run_trial(cell, replace(context("store"), checkpoint_seconds=0.0))
    assert result.status == "done"

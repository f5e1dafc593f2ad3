"""Training that stops when validation no longer improves, and tests its best parameters."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ablations.cancellation import Interrupted
from ablations.fit import fit
from ablations.trial import run_trial
from ablations.trial_interface import NO_HOOKS, TrialHooks, TrialOptions
from bench.errors import UsageError
from bench.store.cell import Cell
from bench.store.result import Result
from bench.store.store import Store
from tasks.base import tasks
from tasks.plan import make_cell, resolve
from tasks.training.convergence import best_validation, converged

TASKS = tasks.names()
#: A rate that unlearns, and the same rate at a step whatever `max_steps` is.
WILD: dict[str, Any] = {"learning_rate": 0.3, "schedule": "constant", "warmup_fraction": 0.0}
STEPS = 12


def wild(task: str, **options: Any) -> Cell:
    return make_cell(task, "soft", budget="smoke", options={**WILD, **options})


def validated(task: str, **options: Any) -> Cell:
    """Trained for twelve steps at most, with a validation after each."""
    return wild(task, max_steps=STEPS, num_validations=STEPS, **options)


@pytest.fixture
def options(tmp_path: Path) -> Callable[[str], TrialOptions]:
    def make(name: str) -> TrialOptions:
        store = Store.open(tmp_path / name, create=True)
        return TrialOptions(store.address, None, str(tmp_path / "cache"))

    return make


def outcomes(result: Result, options: TrialOptions) -> str:
    """All that was measured on test data, but for times."""
    assert result.status == "done", result.failure
    assert options.store_address is not None
    store, record = Store.open(options.store_address), result.to_json()
    metrics = {key: value for key, value in record["metrics"].items() if "second" not in key}
    rows, traces = store.predictions(result.hash), store.traces(result.hash)
    return json.dumps([metrics, record["by_length"], record["alignment"], rows, str(traces)])


def losses(result: Result) -> list[float]:
    return [point["validation_loss"] for point in result.curve]


@pytest.mark.parametrize("task", TASKS)
def test_the_best_parameters_are_those_of_a_trial_that_ends_there(
    task: str, options: Callable[[str], TrialOptions]
) -> None:
    patient, short = options("patient"), options("short")
    result = run_trial(validated(task, patience=2), patient)
    assert result.status == "done", result.failure
    found = losses(result)
    assert found[-1] > min(found) and found[-2] > min(found), "it unlearns"
    assert len(found) < STEPS, "it stops"
    best = best_validation(result.curve)
    assert best == len(found) - 3, "two validations after the best one"
    assert result.best_step == best + 1 and result.tested_point == result.curve[best]
    assert result.converged == converged(result.curve)
    notes = " ".join(result.provenance.notes)
    assert f"training stopped after step {len(found)} of {STEPS} (patience=2)" in notes
    assert f"tested are the parameters of step {best + 1}:" in notes
    ends = run_trial(wild(task, max_steps=best + 1, num_validations=best + 1), short)
    assert losses(ends) == found[: best + 1]
    assert ends.best_step is None
    assert outcomes(result, patient) == outcomes(ends, short)


@pytest.mark.parametrize("task", TASKS)
def test_an_interrupted_trial_stops_where_one_does_that_was_not(
    task: str, options: Callable[[str], TrialOptions]
) -> None:
    cell, whole, parts = validated(task, patience=2), options("whole"), options("parts")
    expected = run_trial(cell, whole)
    # The best parameters and those that were no better are on either side of some interruption.
    for _ in range(len(expected.curve) - 1):
        left = iter([False])
        with pytest.raises(Interrupted):
            run_trial(cell, parts, TrialHooks(asked_to_stop=lambda left=left: next(left, True)))
    result = run_trial(cell, parts)
    assert losses(result) == losses(expected)
    assert (result.best_step, result.converged) == (expected.best_step, expected.converged)
    assert result.provenance.notes == expected.provenance.notes
    assert outcomes(result, parts) == outcomes(expected, whole)


def test_patience_that_is_never_lost_trains_to_the_end_and_tests_the_best(
    options: Callable[[str], TrialOptions],
) -> None:
    here = options("store")
    result = run_trial(validated("entailment", patience=1000), here)
    assert [point["step"] for point in result.curve] == [*range(1, STEPS + 1)]
    assert result.best_step == best_validation(result.curve) + 1 < STEPS
    assert result.provenance.notes[-1].startswith(
        f"tested are the parameters of step {result.best_step}:"
    )


def test_without_patience_the_last_parameters_are_tested(
    options: Callable[[str], TrialOptions],
) -> None:
    result = run_trial(validated("entailment"), options("store"))
    assert result.best_step is None and result.tested_point == result.curve[-1]
    assert len(result.curve) == STEPS and min(losses(result)) < losses(result)[-1]
    assert not [note for note in result.provenance.notes if "parameters" in note]


def test_a_candidate_of_a_search_is_judged_by_what_would_be_tested(tmp_path: Path) -> None:
    here = TrialOptions(None, None, str(tmp_path), tests=False)
    result = run_trial(validated("entailment", patience=2), here)
    assert result.primary is not None
    assert result.primary.value == pytest.approx(min(losses(result)), abs=1e-6)
    assert result.metrics["steps"] == result.curve[-1]["step"]


def test_patience_names_another_cell_only_if_it_is_set() -> None:
    plain = make_cell("translation", "soft", budget="smoke")
    zero = make_cell("translation", "soft", budget="smoke", options={"patience": 0})
    some = make_cell("translation", "soft", budget="smoke", options={"patience": 3})
    assert plain.hash == zero.hash != some.hash
    for wrong in (-1, "many", 1.5):
        with pytest.raises(UsageError, match="patience"):
            make_cell("translation", "soft", options={"patience": wrong})


def test_a_module_without_a_curve_refuses_patience(tmp_path: Path) -> None:
    plan = resolve(validated("translation", patience=1))
    here = TrialOptions(None, None, str(tmp_path))
    data = plan.task.prepare(plan, here.paths())
    import pytorch_lightning as pl

    with pytest.raises(UsageError, match="--set patience"):
        fit(plan, pl.LightningModule(), data, here, NO_HOOKS)

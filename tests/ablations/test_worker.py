from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from fake_trials import PREDICTIONS, fake_cell, fake_result

from ablations.cell_runner import run_cell
from ablations.trial_interface import Outcome, TrialOptions, failed_result
from bench.store.result import Result
from bench.store.store import Store

RUN = "fake_trials:run"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture
def context(store: Store) -> TrialOptions:
    return TrialOptions(store.address, None, str(store.cache), study="s")


def visits(context: TrialOptions, number: int, **options: object) -> int:
    path = Path(context.cache) / "visits" / fake_cell(number, **options).hash
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_a_trial_is_run_and_told_of(store: Store, context: TrialOptions) -> None:
    outcome = run_cell(fake_cell(3), context, RUN)
    assert (outcome.status, outcome.figure, outcome.stored) == ("done", ("BLEU", 3.0), True)
    assert outcome.seconds > 0
    assert store.get(outcome.hash).provenance.study == "s"
    assert store.predictions(outcome.hash) == PREDICTIONS


def test_what_the_store_has_is_not_run_again(store: Store, context: TrialOptions) -> None:
    store.put(fake_result(fake_cell(3), 77.0))
    outcome = run_cell(fake_cell(3), context, RUN)
    assert outcome.figure == ("BLEU", 77.0)
    assert visits(context, 3) == 0


def test_failed_and_unreadable_records_are_run_again(store: Store, context: TrialOptions) -> None:
    store.put(failed_result(fake_cell(1), "diverged", "nan", started="2025-01-01T00:00:00Z"))
    (Path(store.address) / "trials" / f"{fake_cell(2).hash}.json").write_text("{")
    for number in (1, 2):
        assert run_cell(fake_cell(number), context, RUN).status == "done"
        assert store.get(fake_cell(number).hash).status == "done"


def test_what_a_trial_raises_becomes_its_result(store: Store, context: TrialOptions) -> None:
    cell = fake_cell(1, does="raise")
    outcome = run_cell(cell, context, RUN)
    assert outcome.failure == ("RuntimeError", "as told, in two lines")
    stored = store.get(cell.hash)
    assert stored.status == "failed"
    assert stored.failure is not None
    assert stored.failure.message == "as told, in two lines"
    assert stored.provenance.study == "s"


def test_a_store_that_went_away_is_told(context: TrialOptions, tmp_path: Path) -> None:
    gone = TrialOptions(str(tmp_path / "file" / "x"), None, context.cache)
    (tmp_path / "file").touch()
    outcome = run_cell(fake_cell(1), gone, RUN)
    assert outcome.status == "failed"
    assert not outcome.stored


def test_only_exceptions_are_caught(context: TrialOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    # Tune ends stopped trials with SystemExit.
    def leave(cell: object, options: object, hooks: object) -> Result:
        raise SystemExit

    monkeypatch.setattr(sys.modules["fake_trials"], "run", leave)
    with pytest.raises(SystemExit):
        run_cell(fake_cell(1), context, RUN)


def test_outcomes_survive_being_reported() -> None:
    for outcome in (
        Outcome("a", "done", figure=("BLEU", 1.5), seconds=2.0),
        Outcome("b", "failed", failure=("diverged", "nan"), stored=False),
    ):
        reported = {**outcome.to_json(), "training_iteration": 1, "pid": os.getpid()}
        assert Outcome.from_json(reported) == outcome

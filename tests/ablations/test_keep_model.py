"""Trials that keep their models, and what becomes of the models of trials that do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from fake_trials import fake_cell, fake_result

from ablations.sweep import cells_without_model
from ablations.trial import run_trial
from ablations.trial_interface import TrialHooks, TrialOptions, failed_result, stored_result
from bench.store.cell import Cell
from bench.store.models import Keep, ModelHeader, Models
from bench.store.store import Store
from tasks.kept_model import load_model
from tasks.plan import make_cell

CELL = make_cell("translation", "soft", "dot", budget="smoke", options={"max_steps": 4})


@pytest.fixture
def options(tmp_path: Path) -> TrialOptions:
    store = Store.open(tmp_path / "store", create=True)
    return TrialOptions(store_address=store.address, data_root=None, cache=str(tmp_path / "cache"))


def test_the_model_of_a_trial_is_that_which_was_tested(options: TrialOptions) -> None:
    store = Store.open(options.store_address or "")
    result = run_trial(CELL, replace(options, keep_model="all"))
    assert result.status == "done", result.failure
    header, _ = store.models.load(CELL.hash)
    assert header.validation_loss == result.tested_point["validation_loss"]
    model = load_model(store, CELL)
    for row in store.predictions(CELL.hash)[:4]:
        output = model.predict(text=row["source"])
        assert output.text == row["prediction"]
        assert output.figures["log_prob"] == pytest.approx(row["extra"]["log_prob"], abs=2e-4)

    run_trial(CELL, options)  # whose model nobody asks for
    assert not store.models.has(CELL), "a model that is not its result's"


def test_candidates_of_a_search_and_failed_trials_keep_none(options: TrialOptions) -> None:
    store = Store.open(options.store_address or "")
    keeping = replace(options, keep_model="all")
    assert run_trial(CELL, replace(keeping, tests=False)).status == "done"
    diverging = make_cell(
        "translation", "soft", "dot", budget="smoke", options={"learning_rate": 1e30}
    )
    assert run_trial(diverging, keeping).status == "failed"
    assert not store.models.names()


def test_a_store_that_takes_no_model_keeps_the_result(
    options: TrialOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Models, "put", full)
    said: list[str] = []
    result = run_trial(CELL, replace(options, keep_model="best"), TrialHooks(message=said.append))
    assert Store.open(options.store_address or "").get(CELL.hash) == result
    assert said == [f"the model of {CELL.hash[:12]} cannot be kept (no space left on device)"]


def put(store: Store, cell: Cell, loss: float, *, model: Keep | None = None) -> None:
    curve = ({"step": 1.0, "validation_loss": loss},)
    store.put(fake_result(cell).model_copy(update={"curve": curve}))
    if model is not None:
        told = {"settings": {}, "processor": {}, "package_version": "1", "validation_loss": loss}
        store.models.put(ModelHeader(cell_json=cell.to_json(), keep=model, **told), {})


def test_cells_that_lack_a_model(tmp_path: Path) -> None:
    store = Store.open(tmp_path, create=True)
    put(store, fake_cell(1), 3.0, model="all")
    put(store, fake_cell(2), 2.0)
    put(store, fake_cell(3), 4.0)
    put(store, fake_cell(1, max_steps=7), 1.0)
    put(store, fake_cell(1, max_steps=9), 1.0, model="best")
    store.put(failed_result(fake_cell(4), "diverged", "nan", started="2025-01-01T00:00:00Z"))
    of_study = [fake_cell(seed) for seed in (1, 2, 3, 4, 5)]
    of_study += [fake_cell(1, max_steps=7), fake_cell(1, max_steps=9)]

    def lacking(keep: Keep) -> set[tuple[int, object]]:
        found = cells_without_model(of_study, store, keep)
        return {(cell.seed, cell.options.get("max_steps")) for cell in found}

    assert lacking("all") == {(2, None), (3, None), (1, 7)}
    assert lacking("best") == {(2, None), (1, 7)}


def test_a_stored_result_is_no_reason_not_to_train_again(options: TrialOptions) -> None:
    store = Store.open(options.store_address or "")
    result = fake_result(fake_cell(1))
    store.put(result)
    assert stored_result(fake_cell(1), options) == result
    again = replace(options, again=True, sweep="s", sweep_began="9999")
    assert stored_result(fake_cell(1), again) is None
    own = replace(again, sweep_began=result.provenance.started)
    assert stored_result(fake_cell(1), own) == result, "its process died after storing"

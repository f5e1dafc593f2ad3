"""Cells trained side by side: the figures and records of their own trials."""

from __future__ import annotations

import gc
import io
import time
import weakref
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ablations import stack
from ablations.context import TrialContext
from ablations.interruption import Interrupted
from ablations.stack import run_stack
from ablations.trial import run_trial
from ablations.workers import run_cells
from bench.cell import Cell
from bench.measure import settle
from bench.result import Result
from bench.stacking.layers import StackedLinear
from bench.store import Store
from tasks.generation import GenerationModule
from tasks.plan import make_cell

TRIAL = "ablations.trial:run_trial"


@pytest.fixture
def context(tmp_path: Path) -> TrialContext:
    store = Store.open(tmp_path / "store", create=True)
    return TrialContext(store.address, None, str(tmp_path / "cache"))


def cells(attention: str = "soft", task: str = "translation", **options: object) -> list[Cell]:
    chosen = {"dropout": 0.2, "test_limit": 8, **options}
    return [
        make_cell(task, attention, budget="smoke", seed=seed, options=chosen) for seed in (1, 2, 5)
    ]


def alike(found: Result, alone: Result) -> None:
    assert found.status == alone.status == "done", found.failure
    assert found.metrics == pytest.approx(alone.metrics, rel=1e-4)
    for mine, other in zip(found.curve, alone.curve, strict=True):
        for name in ("step", "loss", "validation_loss"):
            assert mine[name] == pytest.approx(other[name], rel=1e-5), name


@pytest.mark.parametrize(
    ("task", "attention", "options"),
    [
        ("translation", "soft", {}),
        ("entailment", "self", {}),
        ("speech", "none", {}),
        # Its decoder learns nothing in the first half.
        ("captioning", "global", {"words_weight": 0.1, "words_share": 0.5, "weight_decay": 0.1}),
    ],
)
def test_results_are_those_of_trials_alone(
    context: TrialContext, tmp_path: Path, task: str, attention: str, options: dict[str, object]
) -> None:
    several = cells(attention, task, **options)
    results = run_stack(several, context)
    store = Store.at(context.store_address or "")
    assert [result.hash for result in results] == [cell.hash for cell in several]
    apart = replace(context, store_address=Store.open(tmp_path / "alone", create=True).address)
    for cell, result in zip(several, results, strict=True):
        alone = run_trial(cell, apart)
        alike(result, alone)
        assert store.get(cell.hash) == result
        texts = [
            [row["prediction"] for row in one.predictions(cell.hash)]
            for one in (store, Store.at(apart.store_address or ""))
        ]
        assert texts[0] == texts[1] and texts[0]
        seconds = result.cost.train_seconds
        assert seconds is not None and 0 < result.curve[-1]["seconds"] <= seconds + 1e-3
        assert result.cost.parameters == alone.cost.parameters
        assert result.cost.attention_parameters == alone.cost.attention_parameters
    note = "trained side by side with seeds 1, 5; seconds and memory are a share"
    assert note in results[1].provenance.notes


def test_one_that_diverges_fails_alone(
    context: TrialContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    several, made = cells(), []
    original = GenerationModule.__init__

    def poisoned(self: GenerationModule, *arguments: object) -> None:
        original(self, *arguments)  # type: ignore[arg-type]
        made.append(self)
        if len(made) == 2:
            with torch.no_grad():
                self.head.projection.bias[0] = float("nan")

    monkeypatch.setattr(GenerationModule, "__init__", poisoned)
    first, second, third = run_stack(several, context)
    assert second.failure is not None and second.failure.kind == "diverged"
    monkeypatch.undo()
    for cell, result in ((several[0], first), (several[2], third)):
        alike(result, run_trial(cell, replace(context, store_address=None)))


def test_where_all_diverge_all_fail(context: TrialContext) -> None:
    results = run_stack(cells(learning_rate=1e30), context)
    kinds = {result.failure.kind for result in results if result.failure is not None}
    assert len(results) == 3 and kinds == {"diverged"}


def test_cells_of_a_stack_that_was_stopped_go_on_one_by_one(context: TrialContext) -> None:
    several = cells()
    asked = iter([False] * 7 + [True])
    with pytest.raises(Interrupted):
        run_stack(several, replace(context, asked_to_stop=lambda: next(asked)))
    store = Store.at(context.store_address or "")
    assert store.hashes() == []
    assert all(store.checkpoint(cell.hash) is not None for cell in several)
    problems: list[str] = []
    told = replace(context, tell=problems.append)
    assert run_stack(several, told) == []
    assert "goes on from its checkpoint" in problems[0]
    for cell in several:
        result = run_trial(cell, context)
        alike(result, run_trial(cell, replace(context, store_address=None)))


def test_checkpoints_tell_a_share_of_the_seconds(context: TrialContext) -> None:
    several = cells(validations=4)
    asked = iter([False] * 7 + [True])
    begun = time.perf_counter()
    with pytest.raises(Interrupted):
        run_stack(several, replace(context, asked_to_stop=lambda: next(asked)))
    taken = time.perf_counter() - begun
    for cell in several:
        content = Store.at(context.store_address or "").checkpoint(cell.hash)
        assert content is not None
        state = torch.load(io.BytesIO(content), weights_only=True)
        told = state["ranks"][0]["training"]
        seconds = [*(point["seconds"] for point in told["curve"]), told["seconds"]]
        assert len(seconds) > 1 and seconds == sorted(seconds)
        assert 0 < seconds[-1] < taken / len(several)


def test_models_live_no_longer_than_their_stack(
    context: TrialContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[weakref.ref[GenerationModule]] = []
    original = GenerationModule.__init__

    def noted(self: GenerationModule, *arguments: object) -> None:
        original(self, *arguments)  # type: ignore[arg-type]
        made.append(weakref.ref(self))

    monkeypatch.setattr(GenerationModule, "__init__", noted)
    settle.cache_clear()  # as in a worker whose first trial it is
    try:
        assert run_stack(cells(), context)
        gc.collect()
        assert len(made) == 3 and not any(one() for one in made)
    finally:
        gc.unfreeze()


def test_what_cannot_be_stacked_goes_one_by_one(context: TrialContext) -> None:
    several, problems = cells("hard"), []
    outcomes = run_cells(several, replace(context, tell=problems.append), TRIAL)
    assert [outcome.hash for outcome in outcomes] == [cell.hash for cell in several]
    assert {outcome.status for outcome in outcomes} == {"done"}
    assert len(problems) == 1 and "its seeds go one by one" in problems[0]


def test_code_that_uses_its_parameters_in_its_own_way_is_found_out(
    context: TrialContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first_of_all(self: StackedLinear, rows: torch.Tensor) -> torch.Tensor:
        bias = None if self.bias is None else self.bias[0]
        return torch.nn.functional.linear(rows, self.weight[0], bias)

    monkeypatch.setattr(StackedLinear, "forward", first_of_all)
    problems: list[str] = []
    assert run_stack(cells(), replace(context, tell=problems.append)) == []
    assert "losses together are not those that they have alone" in problems[0]


def test_what_the_store_holds_is_left_out(
    context: TrialContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    several, asked = cells(), []
    run_trial(several[1], context)
    monkeypatch.setattr(stack, "run_stack", lambda left, _: asked.append(left) or [])
    outcomes = run_cells(several, context, TRIAL)
    assert asked == [[several[0], several[2]]]
    assert {outcome.status for outcome in outcomes} == {"done"}

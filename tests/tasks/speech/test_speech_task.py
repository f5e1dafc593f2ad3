"""Every mechanism with every valid score through the path of a trial; whole trials of two."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import one_step
import pytest
import torch

from ablations.trial import run_trial
from ablations.trial_interface import TrialOptions
from bench.attention.registries import NO_SCORE, attentions, scores
from bench.store.store import Store
from reports.statistics.bootstrap import RATIO, candidates, fitting
from tasks.base import Evaluation, Paths, Plan, datasets, tasks
from tasks.plan import make_cell, refusal, resolve
from tasks.settings import BUDGETS
from tasks.speech.data import SpeechData
from tasks.speech.evaluate import time_grid
from tasks.speech.model import SpeechModule
from tasks.speech.settings import SpeechSettings

TASK = tasks.get("speech")
PARTS = ("front", "encoder", "decoder", "head")
TESTED = 6
OPTIONS = {"train_size": 60, "validation_size": 8, "test_size": TESTED, "length": 6}


def plan_of(attention: str, score: str | None = None, **options: object) -> Plan:
    given = {**OPTIONS, **options}
    return resolve(make_cell("speech", attention, score, budget="smoke", options=given))


def valid_pairs() -> list[tuple[str, str]]:
    return [
        (attention, score)
        for attention in attentions.names()
        for score in (*scores.names(), NO_SCORE)
        if (score == NO_SCORE) == (attentions.get(attention).classic_score == NO_SCORE)
        and refusal(TASK, attention, score) is None
    ]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(None, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def data(paths: Paths) -> SpeechData:
    prepared = TASK.prepare(plan_of("soft"), paths)
    assert isinstance(prepared, SpeechData)
    return prepared


def evaluated(plan: Plan, data: SpeechData) -> Evaluation:
    return one_step.evaluated(TASK, plan, data, PARTS)


@pytest.mark.parametrize(("attention", "score"), valid_pairs())
def test_every_mechanism_trains_and_is_tested(attention: str, score: str, data: SpeechData) -> None:
    plan = plan_of(attention, score)
    found = evaluated(plan, data)
    rates = {"per", "substitutions", "insertions", "deletions", "exact", "perplexity"}
    rates.add("baseline_constant")
    assert rates | {f"long_{name}" for name in rates} <= set(found.metrics)
    assert all(math.isfinite(value) for value in found.metrics.values())
    assert found.primary.name == TASK.headline and not found.primary.higher_is_better
    assert found.primary.value == found.metrics["per"]
    assert found.primary.low <= found.primary.value <= found.primary.high
    assert [one.subset for one in found.predictions] == ["test"] * TESTED + ["long"] * TESTED
    assert sum(one.examples for one in found.by_length) == 2 * TESTED
    assert found.decoded == 2 * TESTED
    if attentions.get(attention).placement == "fixed":
        assert found.alignment is None and not found.traces
        assert "centre_ms" not in found.metrics
        return
    assert found.alignment is not None and found.alignment.forced is not None
    assert found.alignment.forced.coverage == 1.0
    assert set(found.alignment.baselines) == {"uniform", "diagonal"}
    assert {"uniform_centre_ms", "diagonal_centre_ms"} <= set(found.metrics)
    assert len(found.traces) == 2 * 2 * plan.settings.num_traces
    for trace in found.traces:
        assert trace.kind == "frames" and trace.weights.shape == (
            len(trace.target),
            len(trace.source),
        )
        if plan.attention.weights_kind != "distribution":
            assert trace.weights.min(initial=0) >= 0
        elif plan.attention_options.model_dump().get("renormalise", True):
            np.testing.assert_allclose(trace.weights.sum(axis=1), 1.0, atol=1e-4)


def test_predictions_make_the_headline_again(data: SpeechData) -> None:
    found = evaluated(plan_of("soft"), data)
    rows = [one for one in found.predictions if one.subset == "test"]
    statistics = np.array([one.statistics for one in rows])
    fit = fitting(
        candidates("per"), statistics, np.array([one.score for one in rows]), found.primary.value
    )
    assert fit is RATIO
    for row, utterance in zip(rows, data.tests["test"].utterances, strict=True):
        assert row.references == (" ".join(utterance.units),)
        assert row.length == round(10 * utterance.seconds)
        assert row.score == pytest.approx(1 - row.statistics[0] / len(utterance.units))


@pytest.mark.parametrize("front", ["convolutional", "pyramidal"])
@pytest.mark.parametrize("layers", [1, 3])
def test_fronts_and_strides(front: str, layers: int, data: SpeechData) -> None:
    plan = plan_of("soft", "location-aware", front=front, front_layers=layers)
    module = one_step.trained(TASK, plan, data, PARTS)
    grid = time_grid(module, data.store.frame_seconds)
    assert grid.step == pytest.approx(0.01 * 2**layers)
    with torch.inference_mode():
        found = TASK.evaluate(plan, module, data)
    for trace in found.traces:
        # The last position lies within the utterance, and not a whole step before its end.
        last = grid.offset + grid.step * (len(trace.source) - 1)
        assert abs(last - trace.extra["seconds"]) <= grid.step + 0.02


def test_masks_only_in_training(data: SpeechData) -> None:
    plan = plan_of("soft", mask_bands=10, mask_frames=20, dropout=0.0)
    torch.manual_seed(1)
    module = TASK.module(plan, data)
    assert isinstance(module, SpeechModule)
    batch = data.train.batch(np.arange(6))

    def states() -> torch.Tensor:
        return module.encode(module.augmented(batch)).states.detach()

    module.train()
    assert (states() != states()).any()
    module.eval()
    assert torch.equal(states(), states())


def test_speed_changes_in_training_alone_and_not_where_gold_names_positions(
    data: SpeechData,
) -> None:
    module = TASK.module(plan_of("soft", speed=0.4), data)
    assert isinstance(module, SpeechModule)
    batch = data.train.batch(np.arange(6))
    frames = {module.train().augmented(batch).source.shape[1] for _ in range(8)}
    assert len(frames) > 3
    assert math.isfinite(module.training_loss(batch).item())
    assert module.eval().augmented(batch) is batch
    gold = replace(batch, gold=torch.zeros(1))
    assert torch.equal(module.train().augmented(gold).source_mask, batch.source_mask)


def test_the_helper_loss_is_trained_and_changes_nothing_else(data: SpeechData) -> None:
    plain, helped = (plan_of("soft", ctc_weight=weight) for weight in (0.0, 0.5))
    torch.manual_seed(1)
    module = TASK.module(helped, data)
    assert isinstance(module, SpeechModule) and module.ctc is not None
    batch = data.train.batch(np.arange(6))
    module.eval()
    without = module.loss_terms(batch).loss
    memory = module.encode(batch)
    extra = module.auxiliary_loss(memory, batch)
    assert extra is not None and extra.item() == pytest.approx(
        0.5 * module.ctc(memory, batch.inputs[:, 1:]).item()
    )
    module.settings = plain.settings.model_copy(update={"dropout": 0.0})
    module.training_loss(batch).backward()
    assert module.ctc.project.weight.grad is None  # validation is not helped
    assert without.item() == pytest.approx(module.loss_terms(batch).nll.item() / batch.units)
    module.train()
    module.training_loss(batch).backward()
    assert module.ctc.project.weight.grad is not None
    assert TASK.module(plain, data).ctc is None  # type: ignore[union-attr]


@pytest.mark.parametrize("name", datasets("speech").names())
@pytest.mark.parametrize("budget", BUDGETS)
def test_every_data_set_has_every_budget(name: str, budget: str) -> None:
    kind = datasets("speech").get(name)
    for attention in attentions.names():
        given = kind.settings(budget, attentions.get(attention).backbone)
        assert SpeechSettings.model_validate(dict(given)).max_steps >= 1
        if budget == "smoke":
            assert given["max_steps"] <= 20


@pytest.mark.parametrize(("attention", "score"), [("none", None), ("soft", "location-aware")])
def test_a_whole_trial(attention: str, score: str | None, paths: Paths, tmp_path: Path) -> None:
    cell = make_cell(
        "speech", attention, score, budget="smoke", options={**OPTIONS, "ctc_weight": 0.3}
    )
    store = Store.open(str(tmp_path / "store"), create=True)
    context = TrialOptions(str(tmp_path / "store"), None, str(paths.cache))
    result = run_trial(cell, context)
    assert result.status == "done", result.failure
    assert len(result.curve) == 2
    assert all(math.isfinite(point["validation_loss"]) for point in result.curve)
    assert len(store.predictions(cell.hash)) == 2 * TESTED
    again = run_trial(cell, TrialOptions(None, None, str(paths.cache)))
    assert again.metrics == result.metrics and again.curve[-1]["loss"] == result.curve[-1]["loss"]

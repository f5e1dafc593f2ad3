"""Every mechanism through the path of a trial; two whole trials."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from ablations.trial import run_trial
from ablations.trial_interface import TrialOptions
from bench.attention.registries import attentions, scores
from bench.store.store import Store
from tasks.base import Evaluation, Paths, Plan, tasks
from tasks.entailment.data import EntailmentData
from tasks.entailment.datasets import LABELS
from tasks.entailment.model import WordEmbedding
from tasks.plan import make_cell, refusal, resolve
from tasks.training.classifier import ClassificationModule

TASK = tasks.get("entailment")
TESTED = 9
OPTIONS = {"train_size": 120, "validation_size": 12, "test_size": TESTED, "clauses": 2}
BASELINES = ("majority", "hypothesis_only", "overlap")


def plan_of(attention: str, score: str | None = None, **options: object) -> Plan:
    settings = {"batch_tokens": 120, **OPTIONS, **options}
    return resolve(make_cell("entailment", attention, score, budget="smoke", options=settings))


def pairs_of_names() -> list[tuple[str, str | None]]:
    """Every attention with its own score, and every score under `global`."""
    every: list[tuple[str, str | None]] = [(attention, None) for attention in attentions.names()]
    return every + [
        ("global", score)
        for score in scores.names()
        if score != attentions.get("global").classic_score
        and refusal(TASK, "global", score) is None
    ]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(None, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def data(paths: Paths) -> EntailmentData:
    prepared = TASK.prepare(plan_of("soft"), paths)
    assert isinstance(prepared, EntailmentData)
    return prepared


def trained(plan: Plan, data: EntailmentData) -> ClassificationModule:
    """After one step, which must change every part that learns."""
    torch.manual_seed(1)
    module = TASK.module(plan, data)
    assert isinstance(module, ClassificationModule)
    batch = next(iter(data.datamodule(1).train_dataloader()))
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    optimizer = module.configure_optimizers()["optimizer"]
    loss = module.training_loss(batch)
    loss.backward()
    assert math.isfinite(loss.item())
    optimizer.step()
    changed = [name for name, value in module.named_parameters() if (value != before[name]).any()]
    for part in ("encoder", "decoder", "head"):
        assert any(name.startswith(part) for name in changed), part
    return module.eval()


def evaluated(plan: Plan, data: EntailmentData) -> Evaluation:
    module = trained(plan, data)
    with torch.inference_mode():
        return TASK.evaluate(plan, module, data)


@pytest.mark.parametrize(("attention", "score"), pairs_of_names())
def test_every_mechanism_trains_and_is_tested(
    attention: str, score: str | None, data: EntailmentData
) -> None:
    plan = plan_of(attention, score)
    found = evaluated(plan, data)
    figures = {"accuracy", "macro_f1", *(f"baseline_{name}" for name in BASELINES)}
    assert figures | {f"long_{name}" for name in figures} <= set(found.metrics)
    assert all(math.isfinite(value) for value in found.metrics.values())
    assert found.primary.name == TASK.headline
    assert found.primary.value == found.metrics["accuracy"]
    assert found.primary.low <= found.primary.value <= found.primary.high
    assert [one.subset for one in found.predictions] == ["test"] * TESTED + ["long"] * TESTED
    assert sum(one.examples for one in found.by_length) == 2 * TESTED
    assert found.decoded == 2 * TESTED
    if attentions.get(attention).placement == "fixed":
        assert found.alignment is None and not found.traces
        return
    assert found.alignment is not None and found.alignment.forced is not None
    assert set(found.alignment.baselines) == {"uniform", "diagonal", "same word"}
    assert len(found.traces) == 2 * plan.settings.num_traces
    for trace in found.traces:
        assert trace.weights.shape == (len(trace.target), len(trace.source))
        if plan.attention.weights_kind != "distribution":
            assert (trace.weights >= 0).all()
        elif plan.attention_options.model_dump().get("renormalise", True):
            np.testing.assert_allclose(trace.weights.sum(axis=1), 1.0, atol=1e-4)


@pytest.mark.parametrize("options", [{"head": "last"}, {"compare_words": False}])
@pytest.mark.parametrize("attention", ["none", "soft"])
def test_heads_are_options(
    attention: str, options: dict[str, object], data: EntailmentData
) -> None:
    assert evaluated(plan_of(attention, **options), data).decoded == 2 * TESTED


def test_words_of_the_test_sets_have_fixed_vectors(paths: Paths) -> None:
    plan = plan_of("global", word_vectors="fixed", lexicon="large", train_limit=3)
    data = TASK.prepare(plan, paths)
    assert isinstance(data, EntailmentData)
    known = {word for pair in data.corpus.train for word in (*pair.premise, *pair.hypothesis)}
    tested = {word for pair in data.corpus.tests["test"] for word in pair.premise}
    assert tested - known, "or the test shows nothing"
    assert tested <= set(data.vocabulary.symbols)
    module = trained(plan, data)
    assert isinstance(module.front.embedding, WordEmbedding)
    assert module.front.embedding is module.decoder.embedding is module.words


def test_predictions_give_the_headline_back(data: EntailmentData) -> None:
    """McNemar's test of two cells needs right or wrong per example."""
    found = evaluated(plan_of("global"), data)
    rows = [one for one in found.predictions if one.subset == "test"]
    for row, pair in zip(rows, data.tests["test"].pairs, strict=True):
        probabilities = row.extra["probabilities"]
        assert row.example == pair.id and row.references == (pair.label,)
        assert sum(probabilities.values()) == pytest.approx(1.0, abs=1e-3)
        assert probabilities[row.prediction] == max(probabilities[label] for label in LABELS)
        assert row.score == float(row.prediction == pair.label)
        assert row.statistics == (row.score, 1.0)
    assert np.mean([row.score for row in rows]) == pytest.approx(found.primary.value)


@pytest.mark.parametrize(
    ("attention", "options"), [("hard", {}), ("none", {}), ("over", {"causal": False})]
)
def test_an_example_s_result_does_not_depend_on_its_batch(
    attention: str, options: dict[str, object], data: EntailmentData
) -> None:
    module = trained(plan_of(attention, **options), data)
    split = data.tests["test"]
    with torch.inference_mode():
        together = split.batch(np.arange(len(split)))
        expected = module.logits(module.read(together), together)
        for row in range(len(split)):
            alone = split.batch(np.array([row]))
            torch.testing.assert_close(
                module.logits(module.read(alone), alone)[0], expected[row], rtol=1e-4, atol=1e-5
            )


@pytest.mark.parametrize("attention", ["hierarchical", "none"])
def test_a_whole_trial(attention: str, paths: Paths, tmp_path: Path) -> None:
    store = Store.open(str(tmp_path / "store"), create=True)
    cell = plan_of(attention, max_steps=4).cell
    context = TrialOptions(store.address, None, str(paths.cache))
    results = [run_trial(cell, context) for _ in range(2)]
    assert [one.status for one in results] == ["done", "done"], results[0].failure
    assert results[0].metrics == results[1].metrics, "the same cell gives the same figures"
    stored = store.get(cell.hash)
    assert stored is not None and stored.primary == results[1].primary
    assert len(stored.curve) == 2

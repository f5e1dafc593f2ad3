"""Every mechanism with every valid score through the path of a trial; two whole trials."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import one_step
import pytest

from ablations.trial import run_trial
from ablations.trial_interface import TrialOptions
from bench.attention.registries import NO_SCORE, attentions, scores
from bench.errors import NotApplicable
from bench.store.store import Store
from reports.statistics.bootstrap import candidates, fitting
from tasks.base import Evaluation, Paths, Plan, tasks
from tasks.data.texts import TextData
from tasks.plan import make_cell, refusal, resolve
from tasks.summarization.datasets import Document
from tasks.summarization.evaluate import ROUGE, rouge
from tasks.summarization.model import RushEncoder
from tasks.training.sequence import GenerationModule

TASK = tasks.get("summarization")
TESTED = 6
OPTIONS = {"train_size": 120, "validation_size": 12, "test_size": TESTED, "sentences": 5}


def plan_of(attention: str, score: str | None = None, **options: object) -> Plan:
    settings = {"batch_tokens": 120, "max_length": 8, **OPTIONS, **options}
    return resolve(make_cell("summarization", attention, score, budget="smoke", options=settings))


def valid_pairs() -> list[tuple[str, str]]:
    return [
        (attention, score)
        for attention in attentions.names()
        for score in (*scores.names(), NO_SCORE)
        if (score == NO_SCORE) == (attentions.get(attention).classic_score == NO_SCORE)
        and refusal(TASK, attention, score) is None
    ]


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    return Paths(None, tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def data(paths: Paths) -> TextData[Document]:
    prepared = TASK.prepare(plan_of("soft"), paths)
    assert isinstance(prepared, TextData)
    return prepared


def evaluated(plan: Plan, data: TextData[Document]) -> Evaluation:
    return one_step.evaluated(TASK, plan, data)


@pytest.mark.parametrize(("attention", "score"), valid_pairs())
def test_every_mechanism_trains_and_is_tested(
    attention: str, score: str, data: TextData[Document]
) -> None:
    plan = plan_of(attention, score)
    found = evaluated(plan, data)
    figures = {"copy_rate", "novelty_2", "length_ratio", "perplexity", *ROUGE}
    assert figures | {f"long_{name}" for name in figures} <= set(found.metrics)
    assert all(math.isfinite(value) for value in found.metrics.values())
    assert found.primary.name == TASK.headline
    assert found.primary.value == found.metrics["rouge_l"]
    assert found.primary.low <= found.primary.value <= found.primary.high
    assert [one.subset for one in found.predictions] == ["test"] * TESTED + ["long"] * TESTED
    assert sum(one.examples for one in found.by_length) == 2 * TESTED
    assert found.decoded == 2 * TESTED
    if attentions.get(attention).placement == "fixed":
        assert found.alignment is None and not found.traces
        return
    assert found.alignment is not None and found.alignment.forced is not None
    assert found.alignment.forced.coverage == 1.0
    assert len(found.traces) == 2 * 2 * plan.settings.num_traces
    for trace in found.traces:
        if plan.attention.weights_kind != "distribution":
            assert (trace.weights >= 0).all()
        elif plan.attention_options.model_dump().get("renormalise", True):
            np.testing.assert_allclose(trace.weights.sum(axis=1), 1.0, atol=1e-4)


def test_sentences_are_the_segments(data: TextData[Document]) -> None:
    batch = data.train.batch(np.arange(20))
    assert batch.segments is not None
    for row, document in enumerate(data.train.examples[:20]):
        length = int(batch.source_mask[row].sum())
        expected = [*document.segments, document.segments[-1]]  # words are tokens here
        assert batch.segments[row, :length].tolist() == expected


def test_hierarchical_attention_spreads_over_sentences(data: TextData[Document]) -> None:
    found = evaluated(plan_of("hierarchical"), data)
    documents = {one.id: one for part in data.tests.values() for one in part.examples}
    for trace in found.traces:
        document = documents[trace.example]
        shares = trace.parts["segments"]  # of every word, the weight of its sentence
        for sentence in set(document.segments):
            inside = np.flatnonzero(np.asarray(document.segments) == sentence)
            first = np.broadcast_to(shares[:, inside[:1]], (len(shares), len(inside)))
            np.testing.assert_allclose(shares[:, inside], first)


def test_predictions_give_the_headline_back(data: TextData[Document]) -> None:
    found = evaluated(plan_of("global"), data)
    rows = [one for one in found.predictions if one.subset == "test"]
    statistics = np.asarray([one.statistics for one in rows])
    values = np.asarray([one.score for one in rows])
    aggregator = fitting(candidates("rouge_l"), statistics, values, found.primary.value)
    assert aggregator is not None
    again = rouge([one.prediction for one in rows], [one.references[0] for one in rows])
    np.testing.assert_allclose(again[:, list(ROUGE).index("rouge_l")], values)


def test_baselines_are_those_of_the_lead(data: TextData[Document]) -> None:
    found = evaluated(plan_of("none"), data)
    documents = data.tests["test"].examples
    written = [" ".join(one.words[: len(one.summary)]) for one in documents]
    expected = rouge(written, [one.summary_text for one in documents]).mean(axis=0)
    for name, value in zip(ROUGE, expected, strict=True):
        assert found.metrics[f"baseline_lead_of_right_length_{name}"] == pytest.approx(value)
    assert 0 < found.metrics["baseline_lead_rouge_l"] < 1
    assert "long_baseline_lead_rouge_l" in found.metrics


@pytest.mark.parametrize("options", [{}, {"joint_vocab": True}])
def test_embeddings_are_shared_where_the_vocabulary_is(
    options: dict[str, bool], paths: Paths
) -> None:
    plan = plan_of("soft", **options)
    module = TASK.module(plan, TASK.prepare(plan, paths))
    assert isinstance(module, GenerationModule)
    shared = module.front.embedding is module.decoder.embedding
    assert shared == bool(options)


def test_rush_s_encoder_is_an_option(data: TextData[Document]) -> None:
    module = one_step.trained(TASK, plan_of("global", encoder="rush", smoothing=1), data)
    assert isinstance(module.encoder, RushEncoder) and module.encoder.window == 1
    with pytest.raises(NotApplicable, match="recurrent"):
        TASK.module(plan_of("self", encoder="rush"), data)


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
    assert stored.provenance.signatures["rouge"].startswith("rouge-score")
    assert any("sentences a report" in note for note in stored.provenance.notes)

"""BLEU from summed counts is sacrebleu's BLEU; chrF and signatures are sacrebleu's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from tasks.evaluation.bootstrap import by_length
from tasks.translation.evaluate import score
from tasks.translation.metrics import bleu, bleu_statistics

REFERENCES = [
    "The old sailor's boat, a red one, lies near the lighthouse.",
    "Two dogs run across a field of high grass.",
    "A girl sings (loudly) on a small stage in the park.",
    "Nobody is there.",
    "The cat sees a bird and the bird sees the cat.",
]
PREDICTIONS = [
    "The old boat of the sailor, a red one, lies near a lighthouse.",
    "Two dogs are running across the field of high grass.",
    "A girl sings loudly on a stage.",
    "",
    "The cat sees the bird and the bird sees a cat .",
]

sentences = st.lists(
    st.sampled_from(["the", "a", "cat", "dog", "bird", "sees", "runs", ",", ".", "Old"]), max_size=9
).map(" ".join)


def test_the_corpus_figure() -> None:
    sums = bleu_statistics(PREDICTIONS, REFERENCES).sum(axis=0)
    expected = BLEU().corpus_score(PREDICTIONS, [REFERENCES]).score
    assert 20 < expected < 80
    assert float(bleu(sums)) == pytest.approx(expected, rel=1e-12)


@given(st.lists(st.tuples(sentences, sentences), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_any_corpus_even_without_matches(pairs: list[tuple[str, str]]) -> None:
    predictions, references = [p for p, _ in pairs], [r for _, r in pairs]
    sums = bleu_statistics(predictions, references).sum(axis=0)
    expected = BLEU().corpus_score(predictions, [references]).score
    assert float(bleu(sums)) == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_many_sums_at_once() -> None:
    statistics = bleu_statistics(PREDICTIONS, REFERENCES)
    sums = np.stack([statistics[:2].sum(axis=0), statistics[2:].sum(axis=0), np.zeros(10)])
    assert bleu(sums).tolist() == [*(float(bleu(row)) for row in sums[:2]), 0.0]


def test_scores() -> None:
    scores = score(PREDICTIONS, REFERENCES)
    metric, characters = BLEU(), CHRF()
    assert scores.interval.value == pytest.approx(
        metric.corpus_score(PREDICTIONS, [REFERENCES]).score, rel=1e-12
    )
    assert scores.interval.low < scores.interval.value < scores.interval.high
    assert scores.metrics["chrf"] == characters.corpus_score(PREDICTIONS, [REFERENCES]).score
    assert scores.examples[3] < scores.examples[1] < 100
    assert scores.signatures == {
        "bleu": metric.get_signature().format(),
        "chrf": characters.get_signature().format(),
    }
    assert "case:mixed" in scores.signatures["bleu"] and "tok:13a" in scores.signatures["bleu"]


def test_perfect_and_hopeless() -> None:
    assert score(REFERENCES, REFERENCES).interval.value == pytest.approx(100)
    hopeless = score(["zzz"] * 5, REFERENCES)
    assert hopeless.interval.low == hopeless.interval.value == 0


def test_bins_hold_the_bleu_of_their_sentences() -> None:
    lengths = np.asarray([len(text.split()) for text in REFERENCES])
    statistics = bleu_statistics(PREDICTIONS, REFERENCES)
    for found in by_length("test", lengths, statistics, bleu, bins=2):
        chosen = [n for n, size in enumerate(lengths) if found.low <= size <= found.high]
        expected = BLEU().corpus_score(
            [PREDICTIONS[n] for n in chosen], [[REFERENCES[n] for n in chosen]]
        )
        assert found.value == pytest.approx(expected.score, rel=1e-9)

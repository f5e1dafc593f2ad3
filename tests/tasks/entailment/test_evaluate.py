"""Accuracy, macro F1 and confusion against scikit-learn and by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from tasks.entailment import evaluate as metrics
from tasks.entailment.datasets import LABELS, PairExample, gold_classes
from tasks.evaluation.bootstrap import by_length

CLASSES = st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1, max_size=60)


def columns(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    gold, predicted = np.array(rows, dtype=np.int64).T
    return gold, predicted


@given(CLASSES)
def test_figures_agree_with_scikit_learn(rows: list[tuple[int, int]]) -> None:
    gold, predicted = columns(rows)
    matrix = metrics.confusion(gold, predicted)
    assert (matrix == confusion_matrix(gold, predicted, labels=[0, 1, 2])).all()
    # Micro-averaged over classes that occur nowhere, scikit-learn also gives 0.
    wanted = f1_score(gold, predicted, labels=[0, 1, 2], average="macro", zero_division=0)
    assert metrics.macro_f1(matrix.reshape(-1)) == pytest.approx(wanted)
    sums = metrics.accuracy_statistics(gold, predicted).sum(axis=0)
    assert sums[0] / sums[1] == pytest.approx(accuracy_score(gold, predicted))


@given(CLASSES)
def test_statistics_sum_to_the_confusion_matrix(rows: list[tuple[int, int]]) -> None:
    gold, predicted = columns(rows)
    sums = metrics.confusion_statistics(gold, predicted).sum(axis=0)
    assert (sums.reshape(3, 3) == metrics.confusion(gold, predicted)).all()


def test_all_figures_of_a_test_set_by_name() -> None:
    gold = np.repeat([0, 1, 2], 40)
    predicted = np.where(np.arange(120) % 4 == 0, (gold + 1) % 3, gold)
    figures = metrics.score(gold, predicted).metrics
    assert figures["accuracy"] == pytest.approx(0.75)
    assert figures["accuracy_low"] < 0.75 < figures["accuracy_high"]
    assert figures["macro_f1_low"] < figures["macro_f1"] < figures["macro_f1_high"]
    assert figures["confusion_entailment_neutral"] == 10
    assert figures["confusion_entailment_entailment"] == 30
    assert figures["f1_contradiction"] == pytest.approx(0.75)
    assert len(figures) == 6 + 3 + 9


def test_the_interval_has_the_width_theory_gives() -> None:
    rng = np.random.default_rng(0)
    gold = np.zeros(1000, dtype=np.int64)
    predicted = (rng.random(1000) < 0.3).astype(np.int64)
    interval = metrics.score(gold, predicted).interval
    deviation = np.sqrt(interval.value * (1 - interval.value) / 1000)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * deviation, rel=0.15)


def test_accuracy_by_length_of_the_premise() -> None:
    pairs = [PairExample(str(n), ("w",) * (n // 10 + 1), ("h",), LABELS[n % 3]) for n in range(60)]
    gold = gold_classes(pairs)
    predicted = np.where(np.arange(60) < 30, gold, (gold + 1) % 3)
    scores = metrics.score(gold, predicted)
    lengths = np.array([len(pair.premise) for pair in pairs])
    bins = by_length("test", lengths, scores.statistics, scores.figure)
    assert sum(one.examples for one in bins) == 60
    assert (bins[0].low, bins[-1].high) == (1, 6) and len(bins) >= 5
    assert {one.value for one in bins if one.high <= 3} == {1.0}
    assert {one.value for one in bins if one.low >= 4} == {0.0}


def test_pairs_without_label_have_no_class() -> None:
    with pytest.raises(AssertionError, match="has no label"):
        gold_classes([PairExample("x", ("a",), ("b",), None)])

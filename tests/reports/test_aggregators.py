"""Figures of a test set from figures per example."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu

from reports.statistics.bootstrap import BLEU, MEAN, RATIO, bounds, candidates, fitting
from tasks.translation.evaluate import bleu_statistics

NONE = np.zeros((3, 0))


def test_bleu_of_the_examples_is_that_of_sacrebleu():
    written = ["the cat sat on the mat", "a dog barks at the moon tonight", "no"]
    references = ["the cat sat on a mat", "a dog barked at the moon tonight", "yes"]
    table = BLEU.table(bleu_statistics(written, references), np.zeros(3))
    assert table is not None
    expected = sacrebleu.BLEU().corpus_score(written, [references]).score
    assert BLEU.figure(table) == pytest.approx(expected, abs=1e-9)


def test_ratio_sums_before_it_divides():
    statistics = np.array([[1.0, 2.0], [0.0, 8.0], [3.0, 10.0]])
    table = RATIO.table(statistics, np.zeros(3))
    assert table is not None
    assert RATIO.figure(table) == pytest.approx(4 / 20)


def test_examples_without_the_statistics_give_nothing():
    assert BLEU.table(NONE, np.zeros(3)) is None
    assert RATIO.table(np.ones((3, 5)), np.zeros(3)) is None


def test_unknown_metrics_take_what_reproduces_the_stored_figure():
    scores = np.array([0.5, 1.0, 0.0])
    assert fitting(candidates("cider"), NONE, scores, 0.5) is MEAN
    statistics = np.array([[1.0, 2.0], [1.0, 4.0], [2.0, 4.0]])
    assert fitting(candidates("cider"), statistics, scores, 0.4) is RATIO
    assert fitting(candidates("cider"), statistics, scores, 0.77) is None


def test_error_rates_are_never_means_of_sentences():
    scores = np.array([0.5, 1.0, 0.0])
    assert fitting(candidates("wer"), NONE, scores, 0.5) is None


def test_ranges():
    assert bounds("bleu") == (0.0, 100.0)
    assert bounds("rouge_l") == (0.0, 1.0)
    assert bounds("wer") == (0.0, np.inf)

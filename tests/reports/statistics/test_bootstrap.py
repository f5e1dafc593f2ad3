"""The bootstrap over examples, and figures of a test set from figures per example."""

from __future__ import annotations

import numpy as np
import pytest
import sacrebleu

from reports.samples import Sample
from reports.statistics.bootstrap import (
    BLEU,
    CIDER,
    MEAN,
    RATIO,
    Drawn,
    Resampler,
    bounds,
    candidates,
    fitting,
    mean_drawn,
    paired_variances,
)
from tasks.evaluation.bootstrap import percentiles
from tasks.translation.metrics import bleu_statistics

NONE = np.zeros((3, 0))
KEY = "ab" * 32
OTHER = "cd" * 32


def sample(key: str, table: np.ndarray) -> Sample:
    """Examples whose statistics are the rows of a table, and their scores its first column."""
    return Sample(key, table[:, 0], table, np.ones(len(table), dtype=int))


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
    assert fitting(candidates("rouge_l"), NONE, scores, 0.5) is MEAN
    statistics = np.array([[1.0, 2.0], [1.0, 4.0], [2.0, 4.0]])
    assert fitting(candidates("rouge_l"), statistics, scores, 0.4) is RATIO
    assert fitting(candidates("cider"), statistics, scores, 0.4) is CIDER
    assert fitting(candidates("cider"), statistics, scores, 0.77) is None


def test_error_rates_are_never_means_of_sentences():
    scores = np.array([0.5, 1.0, 0.0])
    assert fitting(candidates("wer"), NONE, scores, 0.5) is None


def test_ranges():
    assert bounds("bleu") == (0.0, 100.0)
    assert bounds("rouge_l") == (0.0, 1.0)
    assert bounds("wer") == (0.0, np.inf)


def test_draws_are_the_same_in_every_report_and_differ_between_test_sets():
    table = np.column_stack([np.arange(50.0), np.ones(50)])
    first = Resampler(200).measure(sample(KEY, table), MEAN).draws
    assert np.array_equal(first, Resampler(200).measure(sample(KEY, table), MEAN).draws)
    assert not np.array_equal(first, Resampler(200).measure(sample(OTHER, table), MEAN).draws)


def test_spread_of_the_draws_is_the_standard_error_of_a_mean():
    scores = np.random.default_rng(0).normal(5, 2, 400)
    draws = Resampler(4000).measure(sample(KEY, scores[:, None]), MEAN).draws
    assert draws.mean() == pytest.approx(scores.mean(), abs=0.02)
    assert draws.std() == pytest.approx(scores.std() / 20, rel=0.06)


def test_every_draw_holds_as_many_examples_as_there_are():
    table = np.column_stack([np.ones(30), np.full(30, 3.0)])
    assert np.allclose(Resampler(100).measure(sample(KEY, table), RATIO).draws, 1 / 3)


def test_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    resampler = Resampler(400)
    covered = 0
    for _ in range(400):
        table = np.column_stack([rng.normal(0, 1, 100), np.ones(100)])
        low, high = percentiles(resampler.measure(sample(KEY, table), MEAN).draws)
        covered += low <= 0 <= high
    assert 0.91 <= covered / 400 <= 0.98


def test_pairs_cancel_what_both_share():
    rng = np.random.default_rng(2)
    hard = rng.normal(0, 1, 300)  # how hard each example is, for everybody
    scores = [hard + 0.05 * rng.normal(0, 1, 300) for _ in range(2)]
    resampler = Resampler(2000)
    drawn = [resampler.measure(sample(KEY, one[:, None]), MEAN) for one in scores]
    paired = paired_variances(drawn)[0][0, 1]
    lone = [Drawn(one.value, one.low, one.high, one.variance) for one in drawn]
    unpaired = paired_variances(lone)[0][0, 1]
    assert paired == pytest.approx(np.var(scores[0] - scores[1]) / 300, rel=0.15)
    assert paired < unpaired / 50


def test_different_test_sets_are_not_compared():
    scores = np.random.default_rng(0).normal(size=100)
    table = np.column_stack([scores, np.ones(100)])
    variances, least = paired_variances(
        [Resampler(100).measure(sample(key, table), MEAN) for key in (KEY, OTHER)]
    )
    assert np.isnan(variances[0, 1]) and variances[0, 0] == 0
    assert (least == 0).all()


def test_equal_draws_have_no_difference_at_all():
    draws = np.random.default_rng(0).normal(size=500)
    codes = np.arange(100.0)
    drawn = [
        Drawn(0.0, -1.0, 1.0, 1.0, KEY, own, of)
        for own, of in ((draws, codes), (draws + 1e-12, -codes))
    ]
    assert paired_variances(drawn)[0][0, 1] == 0


@pytest.mark.parametrize("fewer", [99, 100])
def test_seeds_with_other_examples_have_a_mean(fewer: int):
    """A seed whose predictions lost a line, or whose test set is another of that size."""
    resampler = Resampler(200)
    tables = [np.arange(count)[:, None] % 2.0 for count in (100, fewer)]
    drawn = [
        resampler.measure(sample(key, table), MEAN)
        for key, table in zip((KEY, OTHER), tables, strict=True)
    ]
    found = mean_drawn(drawn)
    assert found.value == pytest.approx(np.mean([one.value for one in drawn]))
    assert found.test_set == f"{KEY}+{OTHER}"
    assert paired_variances([found, found])[1][0, 1] == 1  # no example tells it from itself
    assert len(found.codes) == (100 if fewer == 100 else 199)

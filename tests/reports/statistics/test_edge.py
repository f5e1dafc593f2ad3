"""Near the end of a figure's range: intervals of reports cover the truth, and a difference is no
finding because a bootstrap saw no variance."""

from __future__ import annotations

import numpy as np
import pytest

from reports.samples import Sample
from reports.statistics.bootstrap import (
    BLEU,
    FEWEST_APART,
    PERPLEXITY,
    RATIO,
    Drawn,
    Resampler,
    mean_drawn,
    paired_variances,
)
from reports.statistics.significance import (
    SeedVariance,
    difference_estimate,
    edge_interval,
    holm_pairs,
    moderated_variance,
    pairwise_differences,
    tie_groups,
)

KEY = "1234567890abcdef" * 4
UNKNOWN = SeedVariance(np.full(2, np.nan), np.zeros(2), 0.0)


def sample(table: np.ndarray) -> Sample:
    """Examples whose statistics are the rows of a table."""
    return Sample(KEY, table[:, 0], table, np.ones(len(table), dtype=int))


def drawn(right: np.ndarray, resampler: Resampler) -> Drawn:
    """Accuracy of N answers, right or not."""
    table = np.stack([right, np.ones(len(right))], axis=1).astype(float)
    return resampler.measure(sample(table), RATIO)


def variance_of(first: Drawn, second: Drawn) -> float:
    """The variance of a paired difference."""
    return float(paired_variances([first, second])[0][0, 1])


def p_of(first: Drawn, second: Drawn) -> float:
    """p of one pair with a single seed each."""
    variances, least = paired_variances([first, second])
    values = np.array([first.value, second.value])
    return float(pairwise_differences(values, variances, UNKNOWN, np.ones(2), least).p[0, 1])


@pytest.mark.parametrize("size", [6, 20, 50, 100])
@pytest.mark.parametrize("accuracy", [0.8, 0.95, 0.98])
def test_equal_contenders_are_told_apart_in_at_most_one_of_twenty(size, accuracy):
    rng, resampler = np.random.default_rng(size), Resampler(200)
    pairs = [[drawn(rng.random(size) < accuracy, resampler) for _ in range(2)] for _ in range(250)]
    found = np.mean([p_of(*pair) < 0.05 for pair in pairs])
    assert found <= 0.05 + 1.65 * np.sqrt(0.05 * 0.95 / 250)


def test_four_answers_of_fifty_are_no_difference_and_ten_are():
    resampler = Resampler()
    best = drawn(np.ones(50), resampler)
    for fewer, least, most in ((1, 0.2, 1), (4, 0.05, 0.2), (10, 0, 0.01), (50, 0, 1e-9)):
        assert least <= p_of(best, drawn(np.arange(50) >= fewer, resampler)) <= most, fewer


def test_without_variance_nothing_is_significant():
    """Figures that differ by the same on few examples have no variance at all."""
    tables = [np.array([[size, 1.0]] * 3) for size in (1.0, 0.98)]
    first, second = (Resampler().measure(sample(table), RATIO) for table in tables)
    assert np.var(first.draws - second.draws, ddof=1) < 1e-12
    p = holm_pairs(np.array([[np.nan, p_of(first, second)], [p_of(first, second), np.nan]]))
    assert p[0, 1] > 0.05
    assert tie_groups(np.array([1.0, 0.98]), p, higher_is_better=True) == [1, 1]


def test_the_variance_is_that_of_bonett_and_price():
    first, second = np.ones(50), np.arange(50) >= 4
    resampler = Resampler(20_000)
    one, other = drawn(first, resampler), drawn(second, resampler)
    theirs = (4 + 2 - 4**2 / 52) / 50**2
    assert variance_of(one, other) == pytest.approx(theirs, rel=0.1)


def test_many_examples_apart_are_left_alone_and_none_leave_room():
    resampler, size = Resampler(), 100
    one, other = drawn(np.ones(size), resampler), drawn(np.arange(size) >= FEWEST_APART, resampler)
    drawn_alone = np.var(one.draws - other.draws, ddof=1)
    assert variance_of(one, other) == pytest.approx(drawn_alone)
    assert variance_of(one, one) == pytest.approx(2 / size**2)
    likelihoods = np.stack([np.arange(1.0, 6.0), np.ones(5)], axis=1)
    unbounded = resampler.measure(sample(likelihoods), PERPLEXITY)
    assert variance_of(unbounded, unbounded) == 0.0 and not unbounded.at_edge


@pytest.mark.parametrize("seeds", [1, 3])
@pytest.mark.parametrize(("size", "accuracy"), [(50, 0.98), (50, 1.0), (100, 0.99), (200, 0.99)])
def test_means_over_seeds_are_covered_near_the_end(seeds, size, accuracy):
    """Each seed has its own luck besides that of the examples, which all seeds share."""
    rng, resampler, covered = np.random.default_rng(7), Resampler(300), 0
    for _ in range(150):
        hard = rng.random(size)
        shift = rng.normal(0, 0.003, seeds) if accuracy < 1 else np.zeros(seeds)
        each = [
            drawn(0.5 * (hard + rng.random(size)) < _quantile(accuracy + one), resampler)
            for one in shift
        ]
        mean = mean_drawn(each)
        low, high = mean.low, mean.high
        if seeds > 1:
            spread = moderated_variance([[one.value for one in each]])
            low, high = edge_interval(
                mean.value,
                low,
                high,
                seed_variance=float(spread.variance[0]),
                seeds=seeds,
                freedom=float(spread.freedom[0]),
                bounds=(0.0, 1.0),
            )
        assert mean.at_edge and low <= mean.value <= high and low < high
        covered += low <= accuracy <= high
    assert covered / 150 >= 0.93


def _quantile(share: float) -> float:
    """Quantile of the mean of two uniform numbers, for shares above one half."""
    return 1 - np.sqrt(max(1 - share, 0.0) / 2) if share < 1 else 1.0


def test_bleu_of_perfect_translations_has_room_below():
    lengths = np.array([6.0, 8.0, 5.0, 12.0])
    totals = np.stack([lengths - order for order in range(4)], axis=1)
    table = np.column_stack([lengths, lengths, totals, totals])
    found = Resampler().measure(sample(table), BLEU)
    assert found.at_edge and found.low < 90 and found.high == pytest.approx(100)
    assert found.span == pytest.approx(100)


def test_the_interval_of_a_difference_has_a_width():
    """As for leads over the control: two that get everything right are equal, but not surely."""
    one = drawn(np.ones(30), Resampler())
    variance = variance_of(one, one)
    found = difference_estimate(
        0.0, example_variance=variance, seed_variance=np.nan, seeds=1, freedom=0
    )
    assert found.low < 0 < found.high and found.p == 1.0

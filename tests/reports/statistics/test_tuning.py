"""Statistics of a search against brute force, scipy and simulation."""

from __future__ import annotations

from itertools import combinations
from math import sqrt

import numpy as np
import pytest
from scipy import stats

from reports.statistics.tuning import (
    best_so_far,
    expected_best,
    expected_best_band,
    filled,
    influences,
    sensitivity,
)


@pytest.mark.parametrize("count", [1, 2, 5, 9])
def test_the_expected_best_is_the_mean_over_all_draws(count):
    losses = np.random.default_rng(count).lognormal(size=count)
    brute = [np.mean([min(draw) for draw in combinations(losses, n)]) for n in range(1, count + 1)]
    assert expected_best(losses) == pytest.approx(brute)


def test_equal_losses_and_many_candidates_are_no_trouble():
    assert expected_best([2.0] * 4) == pytest.approx([2.0] * 4)
    losses = np.arange(1000.0)
    found = expected_best(losses)
    assert found[0] == pytest.approx(losses.mean())
    assert found[-1] == 0
    # The lowest of n of 0..N-1 is expected at (N - n) / (n + 1).
    n = np.arange(1, 1001)
    assert found == pytest.approx((1000 - n) / (n + 1), abs=1e-6)


def test_the_estimate_is_unbiased_for_a_search_of_n():
    """Searches of 12 estimate the best of n; searches of n are run to compare."""
    rng = np.random.default_rng(1)
    searches = rng.exponential(size=(4000, 12))
    estimated = np.array([expected_best(losses) for losses in searches]).mean(axis=0)
    true = 1 / np.arange(1, 13)  # the expected minimum of n exponential draws
    assert estimated == pytest.approx(true, rel=0.05)
    simulated = [rng.exponential(size=(40_000, n)).min(axis=1).mean() for n in range(1, 13)]
    assert estimated == pytest.approx(simulated, rel=0.06)


def test_drawing_with_replacement_would_expect_too_little():
    """Dodge 2019's own estimate, biased at n = N, as Tang 2020 shows."""
    rng = np.random.default_rng(2)
    losses = np.sort(rng.exponential(size=(4000, 8)), axis=1)
    survive = (1 - np.arange(9) / 8) ** 8
    with_replacement = (losses * (survive[:-1] - survive[1:])).sum(axis=1).mean()
    without = np.array([expected_best(one)[-1] for one in losses]).mean()
    assert with_replacement > 1.2 / 8 > 1.1 * without


def test_the_band_holds_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(3)
    held = []
    for _ in range(150):
        low, high = expected_best_band(rng.normal(size=24))
        held.append(low[0] <= 0 <= high[0])
        assert (low <= high).all()
    assert np.mean(held) == pytest.approx(0.95, abs=0.06)


def test_the_best_so_far_never_rises():
    assert best_so_far([3.0, 4.0, 1.0, 2.0]).tolist() == [3, 3, 1, 1]


def test_failures_count_as_no_better_than_the_worst():
    assert filled([2.0, None, 3.0]) == [2.0, 3.0, 3.0]
    settings = [{"x": place} for place in range(5)]
    found = sensitivity(settings, [1.0, 1.04, 2.0, None, 3.0])
    assert found.gap == pytest.approx(1.0)
    assert found.near == pytest.approx(2 / 5)


def test_groups_explain_what_an_analysis_of_variance_says():
    rng = np.random.default_rng(4)
    kinds = [name for name in "abc" for _ in range(6)]
    losses = [("abc".index(kind) + rng.normal()) for kind in kinds]
    (found,) = influences([{"kind": kind} for kind in kinds], losses)
    ranks = stats.rankdata(losses)
    groups = [ranks[np.array(kinds) == kind] for kind in "abc"]
    assert found.p == pytest.approx(stats.f_oneway(*groups).pvalue)


def test_an_optimum_in_the_middle_is_seen():
    rng = np.random.default_rng(5)
    rates = np.exp(rng.uniform(-3, 3, size=16))
    settings = [{"rate": float(rate), "other": float(rng.uniform())} for rate in rates]
    losses = [float(np.log(rate) ** 2 + 0.1 * rng.normal()) for rate in rates]
    assert abs(stats.spearmanr(rates, losses).statistic) < 0.5, "a correlation misses it"
    found = sensitivity(settings, losses).influence
    assert found is not None and found.setting == "rate" and found.share > 0.7


def test_a_setting_without_influence_is_named_rarely():
    rng = np.random.default_rng(6)
    named = 0
    for _ in range(400):
        settings = [
            {"rate": float(rng.uniform()), "dropout": float(rng.choice([0.0, 0.1, 0.2]))}
            for _ in range(10)
        ]
        named += sensitivity(settings, rng.normal(size=10).tolist()).influence is not None
    assert named / 400 <= 0.05 + 2 * sqrt(0.05 * 0.95 / 400)


def test_too_few_candidates_tell_nothing():
    assert sensitivity([{"x": 1.0}, {"x": 2.0}], [1.0, 2.0]).influence is None
    assert influences([{"x": 1.0}] * 9, list(range(9))) == []
    assert influences([{"x": place} for place in range(9)], [1.0] * 9) == []

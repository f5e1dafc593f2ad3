"""Statistics against theory and simulation: claims without a difference stay rare; McNemar's
test against exact enumeration.
"""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from reports.samples import Sample
from reports.statistics.significance import (
    LEVEL,
    CorrectExamples,
    SeedVariance,
    correct_examples,
    detectable_difference,
    difference_estimate,
    holm,
    holm_pairs,
    interval,
    mcnemar_p,
    mcnemar_tests,
    moderated_variance,
    pairwise_differences,
    tie_groups,
)

#: 5 % plus what 1,000 simulations scatter by (99 %).
FIVE_PERCENT = 0.05 + 2.33 * (0.05 * 0.95 / 1000) ** 0.5


def simulated_table(
    rng: np.random.Generator, contenders: int, seeds: int, over_seeds: float, over_examples: float
) -> tuple[np.ndarray, np.ndarray]:
    """Means and Holm's p of a table in which nothing differs."""
    luck = rng.normal(0, over_examples, contenders)
    values = rng.normal(0, over_seeds, (contenders, seeds)) + luck[:, None]
    variance = np.full((contenders, contenders), 2 * over_examples**2)
    found = pairwise_differences(
        values.mean(axis=1), variance, moderated_variance(list(values)), np.full(contenders, seeds)
    )
    return found.values, found.p


@pytest.mark.parametrize(
    ("contenders", "seeds", "over_seeds", "over_examples"),
    [(2, 3, 1.0, 0.3), (2, 5, 1.0, 1.0), (6, 3, 1.0, 0.3), (14, 2, 1.0, 0.5), (14, 3, 0.3, 1.0)],
)
def test_without_a_difference_better_is_rarely_claimed(
    contenders, seeds, over_seeds, over_examples
):
    rng = np.random.default_rng(contenders * seeds)
    single, whole = [], 0
    for _ in range(1000):
        values, p = simulated_table(rng, contenders, seeds, over_seeds, over_examples)
        single.append((p[np.triu_indices(contenders, k=1)] < 0.05).mean())
        groups = tie_groups(values, holm_pairs(p), higher_is_better=True)
        whole += set(groups) != {1}
    assert np.mean(single) <= FIVE_PERCENT  # of all pairs compared
    assert whole / 1000 <= FIVE_PERCENT  # of all tables, in any of their pairs


def test_resampling_two_seeds_would_claim_far_too_often():
    """Why the spread over seeds is not bootstrapped: the alternative, measured."""
    rng = np.random.default_rng(0)
    claimed = 0
    for _ in range(1000):
        values = rng.normal(0, 1, (2, 2))
        resampled = rng.integers(0, 2, (2, 200, 2))  # contender, draw, seed
        means = np.take_along_axis(values[:, None, :], resampled, axis=2).mean(axis=2)
        low, high = np.percentile(means[0] - means[1], [2.5, 97.5])
        claimed += low > 0 or high < 0
    assert claimed / 1000 > 0.2


def test_a_difference_is_found_as_often_as_theory_says():
    rng = np.random.default_rng(1)
    seeds, over_seeds, over_examples, contenders = 5, 1.0, 0.5, 8
    error = (2 * (over_seeds**2 / seeds + over_examples**2)) ** 0.5
    difference = detectable_difference(error, 1e9)
    variance = np.full((contenders, contenders), 2 * over_examples**2)
    found = 0
    for _ in range(1000):
        values = rng.normal(0, over_seeds, (contenders, seeds))
        values += rng.normal(0, over_examples, contenders)[:, None]
        values[0] += difference
        spread = moderated_variance(list(values))
        seeds_each = np.full(contenders, seeds)
        p = pairwise_differences(values.mean(axis=1), variance, spread, seeds_each).p
        found += p[0, 1] < 0.05
    # Never counting as steadier than one's own seeds costs some of the 80 %.
    assert 0.70 <= found / 1000 <= 0.85


def test_fewer_comparisons_and_more_seeds_detect_smaller_differences():
    assert detectable_difference(1.0, 1e9) == pytest.approx(1.96 + 0.8416, abs=0.01)
    assert detectable_difference(1.0, 4) > detectable_difference(1.0, 40)
    assert detectable_difference(1.0, 40, comparisons=91) > detectable_difference(1.0, 40)


def test_with_few_contenders_each_keeps_its_own_variance():
    values = [[1.0, 2.0, 3.0], [5.0, 5.5, 6.0], [7.0]]
    spread = moderated_variance(values)
    assert spread.variance[:2] == pytest.approx([1.0, 0.25])
    assert np.isnan(spread.variance[2])
    assert spread.total == 4


@pytest.mark.parametrize("count", [3, 4])
def test_four_contenders_say_enough_of_a_common_spread(count):
    spread = moderated_variance([*[[1.0, 2.0], [1.0, 3.0], [2.0, 2.5], [0.0, 2.0]][:count], [7.0]])
    assert np.isnan(spread.variance[-1]) == (count < 4)


def test_a_single_seed_borrows_the_spread_of_the_others():
    rng = np.random.default_rng(0)
    values: list[list[float]] = [list(rng.normal(0, 2, 4)) for _ in range(30)]
    spread = moderated_variance([*values, [1.0]])
    assert spread.variance[-1] == pytest.approx(4.0, rel=0.35)
    assert spread.freedom[-1] <= spread.total == 90


def test_equal_figures_over_all_seeds_are_no_variance():
    spread = moderated_variance([[1.0, 1.0]] * 5)
    assert np.array_equal(spread.variance, np.zeros(5))


def test_nobody_counts_as_steadier_than_its_own_seeds():
    values = [[0.0, 0.1]] * 10 + [[0.0, 9.0]]
    assert moderated_variance(values).variance[-1] >= np.var([0.0, 9.0], ddof=1)


def test_prior_agrees_with_known_degrees_of_freedom():
    """Variances drawn from a scaled inverse chi square with 6 degrees of freedom are moderated
    by about that much."""
    rng = np.random.default_rng(5)
    scales = 6 * 2.0 / rng.chisquare(6, 3000)
    values = [list(rng.normal(0, scale**0.5, 4)) for scale in scales]
    spread = moderated_variance(values)
    assert spread.freedom[0] - 3 == pytest.approx(6, rel=0.25)


def test_interval_is_the_t_interval_where_only_seeds_vary():
    values = [3.0, 5.0, 4.0, 6.0]
    low, high = interval(
        4.5, example_variance=0.0, seed_variance=float(np.var(values, ddof=1)), seeds=4, freedom=3
    )
    expected = stats.t.interval(0.95, 3, loc=4.5, scale=stats.sem(values))
    assert (low, high) == pytest.approx(expected)


def test_interval_ends_where_the_figure_does():
    low, high = interval(
        0.98, example_variance=0.01, seed_variance=0.0, seeds=1, freedom=1, bounds=(0.0, 1.0)
    )
    assert high == 1.0
    assert 0.7 < low < 0.98
    low, high = interval(
        0.02, example_variance=0.01, seed_variance=0.0, seeds=1, freedom=1, bounds=(0.0, 1.0)
    )
    assert low == 0.0
    assert 0.02 < high < 0.3


def test_p_of_a_pair_is_welchs_where_only_seeds_vary():
    first, second = [1.0, 2.0, 4.0], [3.0, 5.0, 5.5, 7.0]
    spread = moderated_variance([first, second])
    means = np.array([np.mean(first), np.mean(second)])
    p = pairwise_differences(means, np.zeros((2, 2)), spread, np.array([3, 4])).p
    assert p[0, 1] == pytest.approx(stats.ttest_ind(first, second, equal_var=False).pvalue)


def test_a_comparison_has_no_more_freedom_than_all_seeds_together():
    spread = SeedVariance(np.array([1.0, 1.0]), np.array([6.0, 6.0]), total=6.0)
    values, seeds = np.zeros(2), np.array([2, 2])
    found = pairwise_differences(values, np.zeros((2, 2)), spread, seeds)
    assert found.variance[0, 1] == 1.0
    assert found.freedom[0, 1] == 6.0  # Welch's would be 12
    # What varies over examples is known as if from plenty.
    assert pairwise_differences(values, np.ones((2, 2)), spread, seeds).freedom[0, 1] == 24.0


def test_paired_p_is_the_one_sample_t_test_where_only_seeds_vary():
    values = [0.5, 1.5, 1.0]
    found = difference_estimate(
        1.0,
        example_variance=0.0,
        seed_variance=float(np.var(values, ddof=1)),
        seeds=3,
        freedom=2,
    )
    assert found.p == pytest.approx(stats.ttest_1samp(values, 0).pvalue)


def test_unknown_seeds_leave_the_decision_to_the_examples():
    spread = SeedVariance(np.array([np.nan, np.nan]), np.zeros(2), 0.0)
    p = pairwise_differences(np.array([0.0, 1.96]), np.ones((2, 2)), spread, np.ones(2)).p
    assert p[0, 1] == pytest.approx(0.05, abs=0.001)


def test_no_variance_decides_by_equality():
    spread = SeedVariance(np.array([np.nan] * 3), np.zeros(3), 0.0)
    p = pairwise_differences(np.array([1.0, 1.0, 2.0]), np.zeros((3, 3)), spread, np.ones(3)).p
    assert p[0, 1] == 1.0
    assert p[0, 2] == 0.0


def test_holm_on_a_worked_example():
    assert holm(np.array([0.01, 0.04, 0.03, np.nan])) == pytest.approx(
        [0.03, 0.06, 0.06, np.nan], nan_ok=True
    )


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20))
def test_holm_keeps_order_and_never_lowers(values):
    p = np.array(values)
    adjusted = holm(p)
    assert (adjusted >= p).all()
    assert (adjusted <= 1).all()
    order = np.argsort(p, kind="stable")
    assert (np.diff(adjusted[order]) >= 0).all()


def test_tie_groups_follow_the_best_of_each_group():
    values = np.array([10.0, 9.0, 5.0, 4.9, np.nan])
    adjusted = np.array(
        [
            [1.0, 0.3, 0.01, 0.01, np.nan],
            [0.3, 1.0, 0.02, 0.01, np.nan],
            [0.01, 0.02, 1.0, 0.9, np.nan],
            [0.01, 0.01, 0.9, 1.0, np.nan],
            [np.nan] * 5,
        ]
    )
    assert tie_groups(values, adjusted, higher_is_better=True) == [1, 1, 2, 2, None]
    assert tie_groups(values, adjusted, higher_is_better=False) == [2, 2, 1, 1, None]


def test_what_cannot_be_compared_is_in_no_group():
    values = np.array([3.0, 2.0])
    adjusted = np.array([[1.0, np.nan], [np.nan, 1.0]])
    assert tie_groups(values, adjusted, higher_is_better=True) == [1, None]


def test_a_p_of_the_level_is_no_difference():
    adjusted = np.array([[1.0, 1 - LEVEL], [1 - LEVEL, 1.0]])
    assert tie_groups(np.array([2.0, 1.0]), adjusted, higher_is_better=True) == [1, 1]


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 3), (1, 9), (12, 2), (0, 6)])
def test_p_is_the_share_of_splits_as_uneven(first, second):
    n = first + second
    uneven = abs(first - second)
    share = sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= uneven) / 2**n
    assert mcnemar_p(np.array([first]), np.array([second]))[0] == pytest.approx(share)


def test_every_pair_is_the_binomial_test_of_its_disagreements():
    rng = np.random.default_rng(2)
    right = rng.random((3, 80)) < np.array([[0.5], [0.6], [0.9]])
    found = mcnemar_tests([CorrectExamples("a", one) for one in right])
    for i in range(3):
        for j in range(3):
            if i == j:
                assert np.isnan(found.p[i, j])
                continue
            only, other = int((right[i] & ~right[j]).sum()), int((right[j] & ~right[i]).sum())
            assert found.only[i, j] == only
            assert found.p[i, j] == pytest.approx(stats.binomtest(only, only + other).pvalue)
    pairs = [found.p[0, 1], found.p[0, 2], found.p[1, 2]]
    adjusted = [found.adjusted[0, 1], found.adjusted[0, 2], found.adjusted[1, 2]]
    assert min(adjusted) == pytest.approx(min(1.0, 3 * min(pairs)))
    assert max(adjusted) >= max(pairs)


def test_other_test_sets_and_absent_ones_are_not_compared():
    ones = np.ones(5, dtype=bool)
    found = mcnemar_tests(
        [CorrectExamples("a", ones), None, CorrectExamples("b", ones), CorrectExamples("a", ~ones)]
    )
    assert found.only[0, 3] == 5 and found.only[3, 0] == 0
    assert np.isnan(found.only[1]).all() and np.isnan(found.adjusted[0, 2])


def test_only_right_or_wrong_is_marked():
    def sample(statistics):
        statistics = np.asarray(statistics, dtype=float)
        zeros = np.zeros(len(statistics))
        return Sample("a", zeros, statistics, zeros.astype(int))

    assert correct_examples(sample([[1, 1], [0, 1]])).right.tolist() == [True, False]
    assert correct_examples(sample([[2, 5], [0, 4]])) is None
    assert correct_examples(sample([[0.5, 1], [0, 1]])) is None
    assert correct_examples(sample([[1], [0]])) is None


def test_equally_good_classifiers_are_told_apart_in_at_most_one_of_twenty():
    rng = np.random.default_rng(7)
    claimed = 0
    for _ in range(1000):
        difficulty = rng.random(150)
        right = [difficulty + 0.4 * rng.standard_normal(150) < 0.6 for _ in range(2)]
        claimed += mcnemar_tests([CorrectExamples("a", one) for one in right]).adjusted[0, 1] < 0.05
    assert claimed / 1000 <= 0.05

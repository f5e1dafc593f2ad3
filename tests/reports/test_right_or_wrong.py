"""McNemar's test against exact enumeration and the binomial test of scipy."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest

from reports.load import Sample
from reports.statistics.significance import Marked, disagreements, marked, mcnemar_p


@pytest.mark.parametrize(("first", "second"), [(0, 0), (3, 3), (1, 9), (12, 2), (0, 6)])
def test_p_is_the_share_of_splits_as_uneven(first, second):
    n = first + second
    uneven = abs(first - second)
    share = sum(comb(n, k) for k in range(n + 1) if abs(2 * k - n) >= uneven) / 2**n
    assert mcnemar_p(np.array([first]), np.array([second]))[0] == pytest.approx(share)


def test_every_pair_is_what_a_binomial_test_gives_for_it():
    rng = np.random.default_rng(2)
    right = rng.random((3, 80)) < np.array([[0.5], [0.6], [0.9]])
    found = disagreements([Marked("a", one) for one in right])
    for i in range(3):
        for j in range(3):
            if i == j:
                assert np.isnan(found.p[i, j])
                continue
            only = int((right[i] & ~right[j]).sum()), int((right[j] & ~right[i]).sum())
            assert found.only[i, j] == only[0]
            assert found.p[i, j] == pytest.approx(binomtest(only[0], sum(only)).pvalue)
    pairs = [found.p[0, 1], found.p[0, 2], found.p[1, 2]]
    adjusted = [found.adjusted[0, 1], found.adjusted[0, 2], found.adjusted[1, 2]]
    assert min(adjusted) == pytest.approx(min(1.0, 3 * min(pairs)))
    assert max(adjusted) >= max(pairs)


def test_other_test_sets_and_absent_ones_are_not_compared():
    ones = np.ones(5, dtype=bool)
    found = disagreements([Marked("a", ones), None, Marked("b", ones), Marked("a", ~ones)])
    assert found.only[0, 3] == 5 and found.only[3, 0] == 0
    assert np.isnan(found.only[1]).all() and np.isnan(found.adjusted[0, 2])


def test_only_right_or_wrong_is_marked():
    def sample(statistics):
        statistics = np.asarray(statistics, dtype=float)
        zeros = np.zeros(len(statistics))
        return Sample("a", zeros, statistics, zeros.astype(int))

    assert marked(sample([[1, 1], [0, 1]])).right.tolist() == [True, False]
    assert marked(sample([[2, 5], [0, 4]])) is None
    assert marked(sample([[0.5, 1], [0, 1]])) is None
    assert marked(sample([[1], [0]])) is None


def test_equally_good_classifiers_are_told_apart_in_at_most_one_of_twenty():
    rng = np.random.default_rng(7)
    claimed = 0
    for _ in range(1000):
        difficulty = rng.random(150)
        right = [difficulty + 0.4 * rng.standard_normal(150) < 0.6 for _ in range(2)]
        claimed += disagreements([Marked("a", one) for one in right]).adjusted[0, 1] < 0.05
    assert claimed / 1000 <= 0.05

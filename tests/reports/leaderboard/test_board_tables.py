"""Groups of overall scores: rarely wrong without a difference, as sharp as theory says with one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reports.leaderboard.board_tables import detectable_of, tie_groups_of
from tasks.evaluation.bootstrap import Interval

RUNS = 1000
#: 5 % and what chance adds to it in so many runs (one in a hundred simulations goes beyond).
FIVE_PERCENT = 0.05 + 2.33 * (0.05 * 0.95 / RUNS) ** 0.5
ERROR = 0.4


def scores(values: np.ndarray) -> list[Interval | None]:
    reach = ERROR * float(stats.norm.isf(0.025))
    return [Interval(float(value), float(value) - reach, float(value) + reach) for value in values]


def test_without_a_difference_groups_are_rarely_told_apart() -> None:
    rng = np.random.default_rng(1)
    apart = [
        max(tie_groups_of(scores(rng.normal(0.0, ERROR, 6)))) > 1  # type: ignore[type-var]
        for _ in range(RUNS)
    ]
    assert np.mean(apart) <= FIVE_PERCENT


def test_a_difference_is_found_as_often_as_theory_says() -> None:
    rng = np.random.default_rng(2)
    difference = 1.5
    found = [
        tie_groups_of(scores(np.array([0.0, difference]) + rng.normal(0.0, ERROR, 2))) == [2, 1]
        for _ in range(RUNS)
    ]
    expected = stats.norm.sf(stats.norm.isf(0.025) - difference / (ERROR * 2**0.5))
    assert abs(np.mean(found) - expected) < 3 * (expected * (1 - expected) / RUNS) ** 0.5


@pytest.mark.parametrize("entries", [2, 5])
def test_the_detectable_difference_is_found_four_times_out_of_five(entries: int) -> None:
    rng = np.random.default_rng(3)
    least = detectable_of(scores(np.zeros(entries)))
    assert least is not None
    # The others lie in between; the best and the worst differ by just that much.
    values = np.linspace(0.0, least, entries)
    found = []
    for _ in range(RUNS):
        groups = tie_groups_of(scores(values + rng.normal(0.0, ERROR, entries)))
        found.append(groups[0] != groups[-1])
    least_found = 0.8 - 2.33 * (0.8 * 0.2 / RUNS) ** 0.5
    assert np.mean(found) >= least_found
    if entries == 2:
        assert np.mean(found) <= 1.6 - least_found


def test_one_score_has_no_difference() -> None:
    assert detectable_of([None, *scores(np.zeros(1))]) is None


def test_who_has_no_score_has_no_group() -> None:
    assert tie_groups_of([None, *scores(np.array([0.0, 9.0]))]) == [None, 2, 1]
    assert tie_groups_of([None]) == [None]


def test_figures_without_any_spread_are_told_apart_unless_they_are_equal() -> None:
    exact = [Interval(value, value, value) for value in (1.0, 1.0, 2.0)]
    assert tie_groups_of(list(exact)) == [2, 2, 1]

"""Bootstrap intervals: right on average, reproducible; length bins share nothing."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.evaluation.bootstrap import BLOCK, RESAMPLES, bootstrap, by_length, ratio, resampled_sums


def _rates(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones_like(values)], axis=1)


def test_the_interval_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(7)
    truth, trials = 0.3, 400
    covered = 0
    for trial in range(trials):
        sample = (rng.random(120) < truth).astype(float)
        interval = bootstrap(_rates(sample), ratio, resamples=400, seed=trial)
        covered += interval.low <= truth <= interval.high
    assert 0.91 < covered / trials < 0.98


def test_a_ratio_of_sums_is_covered_too() -> None:
    # Error rates: errors over reference words, both random.
    rng = np.random.default_rng(3)
    covered = 0
    for trial in range(300):
        words = rng.integers(3, 20, 150)
        errors = rng.binomial(words, 0.2)
        interval = bootstrap(np.stack([errors, words], axis=1), ratio, resamples=400, seed=trial)
        covered += interval.low <= 0.2 <= interval.high
    assert 0.90 < covered / 300 < 0.98


def test_width_is_that_of_theory() -> None:
    values = np.random.default_rng(0).normal(size=2000)
    interval = bootstrap(_rates(values), ratio)
    assert interval.value == pytest.approx(values.mean())
    expected = 2 * 1.96 * values.std() / np.sqrt(2000)
    assert interval.high - interval.low == pytest.approx(expected, rel=0.1)


def test_the_same_seed_gives_the_same_interval() -> None:
    values = _rates(np.random.default_rng(0).random(50))
    assert bootstrap(values, ratio) == bootstrap(values, ratio)
    assert bootstrap(values, ratio) != bootstrap(values, ratio, seed=1)


def test_resamples_are_whole_samples_whatever_the_block() -> None:
    count = BLOCK // 3  # resamples go in several blocks
    sums = resampled_sums(np.ones((count, 1)), resamples=5)
    assert sums.tolist() == [[count]] * 5


def test_resamples_are_shared_by_cells_with_the_same_test_set() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((40, 1)), rng.random((40, 1))
    apart = resampled_sums(first) - resampled_sums(second)
    assert apart == pytest.approx(resampled_sums(first - second))


def test_ratio_is_zero_where_there_is_nothing() -> None:
    assert ratio(np.array([[0.0, 0.0], [1.0, 4.0]])).tolist() == [0.0, 0.25]


@given(st.lists(st.integers(1, 30), min_size=1, max_size=80), st.integers(1, 8))
@settings(max_examples=100, deadline=None)
def test_bins_hold_every_example_once(lengths: list[int], bins: int) -> None:
    sizes = np.asarray(lengths)
    found = by_length("test", sizes, _rates(sizes.astype(float)), ratio, bins=bins)
    assert len(found) <= bins
    assert found[0].low == min(lengths) and found[-1].high == max(lengths)
    for one, after in itertools.pairwise(found):
        assert one.high < after.low
    for one in found:
        inside = sizes[(sizes >= one.low) & (sizes <= one.high)]
        assert len(inside) == one.examples > 0
        assert one.value == pytest.approx(inside.mean())


def test_no_examples_no_bins() -> None:
    assert by_length("test", np.zeros(0, int), np.zeros((0, 2)), ratio) == []


@pytest.mark.parametrize("count", [1, 30, BLOCK // RESAMPLES, BLOCK // RESAMPLES + 1])
def test_resamples_are_those_of_the_seed_each_time_they_are_asked_for(count: int) -> None:
    statistics = np.random.default_rng(count).random((count, 2))
    drawn = np.random.default_rng(3).integers(0, count, size=(2, count))  # the first ones
    for _ in range(2):
        sums = resampled_sums(statistics, seed=3)
        assert sums.shape == (RESAMPLES, 2)
        np.testing.assert_allclose(sums[:2], statistics[drawn].sum(axis=1))

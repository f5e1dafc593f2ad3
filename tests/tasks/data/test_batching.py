"""Batches: every example once an epoch, within its units, in an order of seed and epoch alone."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.batching import BucketBatches, sorted_batches

lengths = st.lists(st.integers(0, 40), min_size=1, max_size=200).map(np.asarray)
units = st.integers(1, 300)


def _within(batches: list[np.ndarray], sizes: np.ndarray, limit: int) -> bool:
    return all(len(batch) == 1 or len(batch) * sizes[batch].max() <= limit for batch in batches)


@given(lengths, units, st.integers(0, 5), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_an_epoch_holds_every_example_once_within_the_bound(
    sizes: np.ndarray, limit: int, seed: int, epoch: int
) -> None:
    batches = BucketBatches(sizes, limit, seed, ties=sizes[::-1]).epoch(epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(sizes)))
    assert _within(batches, sizes, limit)


@given(lengths, units)
@settings(max_examples=60, deadline=None)
def test_evaluation_goes_through_examples_by_length(sizes: np.ndarray, limit: int) -> None:
    batches = sorted_batches(sizes, limit)
    order = np.concatenate(batches)
    assert order.tolist() == np.argsort(sizes, kind="stable").tolist()
    assert _within(batches, sizes, limit)


@given(lengths, units)
@settings(max_examples=60, deadline=None)
def test_batches_are_as_large_as_they_may_be(sizes: np.ndarray, limit: int) -> None:
    batches = sorted_batches(sizes, limit)
    for batch, after in itertools.pairwise(batches):
        joined = np.append(batch, after[0])
        assert len(joined) * max(sizes[joined].max(), 1) > limit


def test_order_depends_on_seed_and_epoch_alone() -> None:
    sizes = np.random.default_rng(0).integers(3, 30, 500)

    def epoch(seed: int, number: int) -> list[list[int]]:
        return [batch.tolist() for batch in BucketBatches(sizes, 200, seed).epoch(number)]

    assert epoch(1, 0) == epoch(1, 0)
    assert epoch(1, 0) != epoch(1, 1)
    assert epoch(1, 0) != epoch(2, 0)


def test_epochs_mix_who_meets_whom() -> None:
    sizes = np.random.default_rng(0).integers(3, 30, 2000)
    batches = BucketBatches(sizes, 200, 1)
    first = {frozenset(batch.tolist()) for batch in batches.epoch(0)}
    second = {frozenset(batch.tolist()) for batch in batches.epoch(1)}
    assert len(first & second) < 0.05 * len(first)


def test_little_padding() -> None:
    sizes = np.random.default_rng(0).integers(3, 30, 5000)
    batches = BucketBatches(sizes, 1000, 1).epoch(0)
    padded = sum(len(batch) * sizes[batch].max() for batch in batches)
    assert sizes.sum() / padded > 0.93


def test_ties_are_broken_by_the_other_side() -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(8, 10, 4000)
    source = rng.integers(3, 60, 4000)

    def waste(batches: list[np.ndarray]) -> float:
        return sum(len(batch) * source[batch].max() for batch in batches) / source.sum()

    plain, tied = BucketBatches(target, 300, 1), BucketBatches(target, 300, 1, ties=source)
    assert waste(tied.epoch(0)) < 1.1 < waste(plain.epoch(0))


def test_iteration_goes_on_from_epoch_to_epoch() -> None:
    sizes = np.full(10, 5)
    batches = BucketBatches(sizes, 10, 1)
    assert len(batches.epoch(0)) == 5
    drawn = list(itertools.islice(batches, 10))
    assert [b.tolist() for b in drawn[5:]] == [b.tolist() for b in batches.epoch(1)]


def test_no_examples_no_batches() -> None:
    nothing = np.zeros(0, dtype=np.int64)
    assert sorted_batches(nothing, 10) == []
    assert list(BucketBatches(nothing, 10, 1)) == []

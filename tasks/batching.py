"""Batches of similar length: bounded by padded units, shuffled by seed and epoch alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

# Examples are sorted by length inside pools of about this many batches: long enough for little
# padding, short enough that epochs differ in more than the order of their batches.
POOL_BATCHES = 50


@dataclass(frozen=True)
class BucketBatches:
    """Batches of example indices for training.

    Attributes:
        lengths: N, units of each example that count towards the bound (target tokens).
        batch_units: largest (examples in the batch) x (longest of them). An example that is
            longer on its own makes a batch of one.
        seed: with the epoch's number it decides the order, and nothing else does.
        ties: N or None; orders examples of equal length (source tokens), to save padding there.
    """

    lengths: np.ndarray
    batch_units: int
    seed: int
    ties: np.ndarray | None = None

    def __post_init__(self) -> None:
        assert self.batch_units > 0
        assert self.ties is None or len(self.ties) == len(self.lengths)

    def epoch(self, number: int) -> list[np.ndarray]:
        """All batches of an epoch: every example in exactly one of them."""
        rng = np.random.default_rng([self.seed, number])
        order = rng.permutation(len(self.lengths))
        batches = [
            batch
            for pool in np.split(order, range(self._pool_size(), len(order), self._pool_size()))
            for batch in self._cut(pool)
        ]
        return [batches[place] for place in rng.permutation(len(batches))]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Batches, epoch after epoch, without end (for training by steps)."""
        if len(self.lengths) == 0:
            return iter(())
        return itertools.chain.from_iterable(map(self.epoch, itertools.count()))

    def _cut(self, pool: np.ndarray) -> list[np.ndarray]:
        keys = (self.lengths[pool],) if self.ties is None else (self.ties[pool], self.lengths[pool])
        pool = pool[np.lexsort(keys)]  # stable: equal keys keep their shuffled order
        return np.split(pool, _borders(self.lengths[pool], self.batch_units))

    def _pool_size(self) -> int:
        mean = max(float(np.mean(self.lengths)), 1.0) if len(self.lengths) else 1.0
        return max(1, round(POOL_BATCHES * self.batch_units / mean))


def sorted_batches(lengths: np.ndarray, batch_units: int) -> list[np.ndarray]:
    """Batches of indices for evaluation: every example once, by length (shortest first).

    The same bound as `BucketBatches`; equal lengths keep their order.
    """
    order = np.argsort(lengths, kind="stable")
    if len(order) == 0:
        return []
    return np.split(order, _borders(np.asarray(lengths)[order], batch_units))


def _borders(ascending: np.ndarray, batch_units: int) -> list[int]:
    """Where to cut examples sorted by length so that each part stays within its units."""
    borders: list[int] = []
    start = 0
    while True:
        # No part can hold more examples than if all were as short as its first one.
        most = batch_units // max(int(ascending[start]), 1)
        window = np.maximum(ascending[start : start + most], 1)
        units = window * np.arange(1, len(window) + 1)
        start += max(int(np.searchsorted(units, batch_units, side="right")), 1)
        if start >= len(ascending):
            return borders
        borders.append(start)

"""Splits of generated data: training last, long ones apart, nothing twice."""

from __future__ import annotations

from collections.abc import Hashable
from random import Random

import pytest

from bench.errors import UsageError
from tasks.synthetic_splits import SyntheticSplit, synthetic_splits, unseen


def exhausted(found: int) -> UsageError:
    return UsageError(f"no more than {found}")


def test_training_is_made_last() -> None:
    assert synthetic_splits(9, 2, 3, within=(1, 4), long=(5, 8)) == (
        SyntheticSplit("test", 3, 1, 4),
        SyntheticSplit("long", 3, 5, 8),
        SyntheticSplit("validation", 2, 1, 4),
        SyntheticSplit("train", 9, 1, 4),
    )


def test_every_one_of_many_is_drawn_once() -> None:
    rng, seen = Random(1), set[Hashable]()
    drawn = [*unseen(8, lambda: rng.randrange(10), lambda n: (n,), seen, exhausted)]
    assert len(set(drawn)) == 8 and seen == set(drawn)
    more = [*unseen(2, lambda: rng.randrange(10), lambda n: (n,), seen, exhausted)]
    assert {*drawn, *more} == set(range(10))
    with pytest.raises(UsageError, match="no more than 0"):
        list(unseen(1, lambda: rng.randrange(10), lambda n: (n,), seen, exhausted))


def test_any_key_that_was_seen_counts() -> None:
    pairs = iter([(1, 2), (2, 3), (3, 4)])
    found = unseen(2, lambda: next(pairs), lambda pair: pair, set(), exhausted)
    assert list(found) == [(1, 2), (3, 4)]

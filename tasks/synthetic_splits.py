"""Splits of generated data sets: how many examples of which lengths, none of them twice."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from bench.errors import UsageError

T = TypeVar("T")


@dataclass(frozen=True)
class SyntheticSplit:
    """A split to be generated: how many examples, of which lengths in the data set's own units.
    Training, validation and test have the same lengths, the test set "long" has longer ones, and
    no example is there twice."""

    name: str
    size: int
    shortest: int
    longest: int


def synthetic_splits(
    train: int, validation: int, test: int, *, within: tuple[int, int], long: tuple[int, int]
) -> tuple[SyntheticSplit, ...]:
    """The splits in the order they are made: training comes last, so that the other splits do not
    depend on its size.

    Args:
        train, validation, test: numbers of examples; each test set has `test`.
        within: fewest and most units of an example.
        long: the same for the test set "long".
    """
    return (
        SyntheticSplit("test", test, *within),
        SyntheticSplit("long", test, *long),
        SyntheticSplit("validation", validation, *within),
        SyntheticSplit("train", train, *within),
    )


def unseen(
    number: int,
    draw: Callable[[], T],
    keys: Callable[[T], Iterable[Hashable]],
    seen: set[Hashable],
    exhausted: Callable[[int], UsageError],
) -> Iterator[T]:
    """Yield `number` draws none of whose keys has been seen; their keys are added to `seen`.

    Short examples are few, so that draws may run out of new ones: after 20 draws an example on
    average (and 1,000 more) the error that `exhausted` makes of the number found is raised.
    """
    found = 0
    for _ in range(20 * number + 1000):
        if found == number:
            return
        one = draw()
        if seen.isdisjoint(keys(one)):
            seen.update(keys(one))
            found += 1
            yield one
    if found < number:
        raise exhausted(found)

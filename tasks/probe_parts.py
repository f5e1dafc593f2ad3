"""How probes are cut into parts: the same lengths in training, validation and test, longer ones in
the test set "long", no example twice."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from bench.errors import UsageError

# Draws of one example before there is said to be no other one. Short examples are few.
ATTEMPTS = 200

T = TypeVar("T")


@dataclass(frozen=True)
class ProbePart:
    """A part of a probe: how many examples, of which lengths (in the probe's own units)."""

    name: str
    size: int
    fewest: int
    most: int


def probe_parts(
    train: int, validation: int, test: int, *, within: tuple[int, int], long: tuple[int, int]
) -> tuple[ProbePart, ...]:
    """The parts in the order they are made: training comes last, so that the other parts do not
    depend on its size.

    Args:
        train, validation, test: numbers of examples; each test set has `test`.
        within: fewest and most units of an example.
        long: the same for the test set "long".
    """
    return (
        ProbePart("test", test, *within),
        ProbePart("long", test, *long),
        ProbePart("validation", validation, *within),
        ProbePart("train", train, *within),
    )


def unseen(
    number: int,
    draw: Callable[[], T],
    keys: Callable[[T], Iterable[Hashable]],
    seen: set[Hashable],
    exhausted: UsageError,
) -> Iterator[T]:
    """So many draws, none of whose keys has been seen; they are added to `seen`.

    Raises `exhausted` where there are not so many.
    """
    for _ in range(number):
        drawn = (draw() for _ in range(ATTEMPTS))
        found = next((one for one in drawn if seen.isdisjoint(keys(one))), None)
        if found is None:
            raise exhausted
        seen.update(keys(found))
        yield found

"""Which produced unit stands for which unit of a reference, for all examples at once.

Units are matched along a longest common subsequence, so that the links of a reference can be
carried over to what a model wrote freely. Tables of several examples are filled row by row
together.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np

# Entries of tables held at once (5 bytes each).
MATCH_BLOCK = 2_000_000

Units = Sequence[Hashable]


def match_units(produced: Sequence[Units], reference: Sequence[Units]) -> list[np.ndarray]:
    """For each reference unit the produced unit that stands for it, or -1.

    Of several longest common subsequences, the one that matches later units.

    Args:
        produced, reference: N sequences each.

    Returns:
        N arrays R, int64.
    """
    found: list[np.ndarray] = [np.zeros(0, np.int64)] * len(reference)
    for table in _tables(produced, reference):
        for index, size, row in zip(table.index, table.sizes, table.matched(), strict=True):
            found[index] = row[: size[1]]
    return found


@dataclass(frozen=True)
class _Tables:
    """Longest common subsequences of B examples.

    Attributes:
        index: B, their places.
        sizes: B,2 numbers of produced and of reference units.
        equal: B,P,R whether two units are equal; never where padding.
        lengths: B,P+1,R+1 of the longest common subsequence of all prefixes.
    """

    index: np.ndarray
    sizes: np.ndarray
    equal: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(
        cls, index: np.ndarray, sizes: np.ndarray, produced: np.ndarray, reference: np.ndarray
    ) -> _Tables:
        equal = produced[:, :, None] == reference[:, None, :]
        (B, P, R) = equal.shape
        lengths = np.zeros((B, P + 1, R + 1), dtype=np.int32)
        for row in range(P):
            above = lengths[:, row]  # B,R+1
            longer = np.where(equal[:, row], above[:, :-1] + 1, above[:, 1:])
            np.maximum.accumulate(longer, axis=1, out=lengths[:, row + 1, 1:])
        return cls(index, sizes, equal, lengths)

    def matched(self) -> np.ndarray:
        """B,R produced units, or -1."""
        found = np.full((len(self.index), self.equal.shape[2]), -1, dtype=np.int64)
        row, column = self.sizes[:, 0].copy(), self.sizes[:, 1].copy()  # B: where each one stands
        while (going := np.flatnonzero((row > 0) & (column > 0))).size:
            r, c = row[going], column[going]
            pair = self.equal[going, r - 1, c - 1]
            up = self.lengths[going, r - 1, c] >= self.lengths[going, r, c - 1]
            found[going[pair], c[pair] - 1] = r[pair] - 1
            row[going] -= pair | up
            column[going] -= pair | ~up
        return found


def _tables(produced: Sequence[Units], reference: Sequence[Units]) -> Iterator[_Tables]:
    """Tables of all examples, in blocks of similar sizes."""
    assert len(produced) == len(reference)
    numbers: dict[Hashable, int] = {}
    coded = [
        [[numbers.setdefault(unit, len(numbers)) for unit in units] for units in side]
        for side in (produced, reference)
    ]
    sizes = np.array([list(map(len, side)) for side in coded], dtype=np.int64).T  # N,2
    order = np.lexsort(sizes.T)
    for index in np.split(order, _borders(sizes[order] + 1)):
        rows = [_padded([side[place] for place in index], -1 - n) for n, side in enumerate(coded)]
        yield _Tables.of(index, sizes[index], *rows)


def _borders(sizes: np.ndarray) -> list[int]:
    """Where to cut examples, so that their padded tables (N,2) stay within `BLOCK`."""
    borders, start = [], 0
    most = sizes[:1].max(axis=0, initial=1)
    for place in range(1, len(sizes)):
        most = np.maximum(most, sizes[place])
        if (place + 1 - start) * int(most.prod()) > MATCH_BLOCK:
            borders.append(place)
            start, most = place, sizes[place]
    return borders


def _padded(rows: list[list[int]], fill: int) -> np.ndarray:
    sizes = np.array(list(map(len, rows)))
    out = np.full((len(rows), int(sizes.max(initial=0))), fill, dtype=np.int64)
    out[np.arange(out.shape[1]) < sizes[:, None]] = [unit for row in rows for unit in row]
    return out


# Matrices of several examples as one run of cells, so that figures of all take one pass.
#
# Every sum here is numpy's sum of that run alone, to the last bit.

# Cells held at once (some 50 bytes each).
BLOCK = 1_000_000


class Weighted(Protocol):
    """An example that has a matrix."""

    @property
    def weights(self) -> np.ndarray: ...


Example = TypeVar("Example", bound=Weighted)


def blocks(cases: Iterable[Example]) -> Iterator[list[Example]]:
    """Examples by the block: as many as have `BLOCK` cells together."""
    block: list[Example] = []
    cells = 0
    for one in cases:
        block.append(one)
        cells += one.weights.size
        if cells >= BLOCK:
            yield block
            block, cells = [], 0
    if block:
        yield block


def starts_of(counts: np.ndarray) -> np.ndarray:
    """Where runs of these lengths begin in a row of them all."""
    starts: np.ndarray = np.cumsum(counts) - counts
    return starts


def places_in(counts: np.ndarray) -> np.ndarray:
    """The place of every value within its run: 0 to count - 1, run by run."""
    places: np.ndarray = np.arange(counts.sum()) - np.repeat(starts_of(counts), counts)
    return places


def run_sums(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sums of consecutive runs of `counts` values; 0 for an empty run."""
    starts = starts_of(counts)
    # `reduceat` takes the first value apart and knows no empty run; with a zero in front of every
    # run it adds the others as `sum` does: in pairs, from 0.
    padded = np.insert(values, starts, 0)
    sums: np.ndarray = np.add.reduceat(padded, starts + np.arange(len(counts)))
    return sums


@dataclass(frozen=True)
class Ragged:
    """The cells of N matrices T,S row by row, C in all; R rows in all.

    Attributes:
        cells: C.
        rows: N, rows of each matrix.
        widths: N, columns of each matrix, at least 1.
    """

    cells: np.ndarray
    rows: np.ndarray
    widths: np.ndarray

    @classmethod
    def of(cls, matrices: Sequence[np.ndarray]) -> Ragged:
        """At least one matrix, all of one type."""
        shapes = np.array([one.shape for one in matrices])  # N,2
        return cls(np.concatenate([one.ravel() for one in matrices]), shapes[:, 0], shapes[:, 1])

    @cached_property
    def owner(self) -> np.ndarray:
        """R, the matrix of each row."""
        return np.repeat(np.arange(len(self.rows)), self.rows)

    @cached_property
    def row_widths(self) -> np.ndarray:
        """R."""
        return np.repeat(self.widths, self.rows)

    @cached_property
    def row_starts(self) -> np.ndarray:
        """R, the first cell of each row."""
        return starts_of(self.row_widths)

    @cached_property
    def first_rows(self) -> np.ndarray:
        """N, the first row of each matrix."""
        return starts_of(self.rows)

    @cached_property
    def columns(self) -> np.ndarray:
        """C, the column of each cell."""
        return places_in(self.row_widths)

    @cached_property
    def row_sums(self) -> np.ndarray:
        """R."""
        return run_sums(self.cells, self.row_widths)

    def along(self, per_row: np.ndarray) -> np.ndarray:
        """R values, each repeated for the cells of its row: C."""
        return np.repeat(per_row, self.row_widths)

    def counts(self, chosen: np.ndarray) -> np.ndarray:
        """How many cells of each row are chosen (C bool): R."""
        found: np.ndarray = np.add.reduceat(chosen, self.row_starts, dtype=np.int64)
        return found

    @cached_property
    def largest(self) -> np.ndarray:
        """C bool, whether a cell is as large as the largest of its row and not below 0."""
        most = np.maximum(np.maximum.reduceat(self.cells, self.row_starts), 0)
        return self.cells == self.along(most)

    @cached_property
    def ties(self) -> np.ndarray:
        """R, how many cells of the row are the largest."""
        return self.counts(self.largest)

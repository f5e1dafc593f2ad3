"""Matrices of several examples as one run of cells, so that figures of all take one pass.

Every sum here is numpy's sum of that run alone, to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np

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

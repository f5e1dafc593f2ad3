"""Alignment of produced sequences with references by dynamic programming, all examples at once.

Two alignments are in use: along a longest common subsequence, so that the links of a reference can
be carried over to what a model wrote freely, and along the fewest edits (Levenshtein 1966), for
error rates. They differ in what an unequal pair costs. Tables of several examples are filled
together, a row of all of them at a time.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

# Entries of cost tables held at once (4 bytes each).
BLOCK = 4_000_000

Units = Sequence[Hashable]
Sequences = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Edits:
    """How N hypotheses differ from their references, along one alignment each with as few edits as
    can be and, of those, the most equal units.

    Attributes:
        substitutions, insertions, deletions: N counts.
        lengths: N reference lengths.
        pairs: per utterance, for each reference unit the unit of the hypothesis that it is
            aligned with, or -1 (deleted). Aligned units may differ (substituted).
    """

    substitutions: np.ndarray
    insertions: np.ndarray
    deletions: np.ndarray
    lengths: np.ndarray
    pairs: tuple[np.ndarray, ...]

    @property
    def errors(self) -> np.ndarray:
        """N edit distances."""
        return self.substitutions + self.insertions + self.deletions

    @property
    def statistics(self) -> np.ndarray:
        """N,2: errors and reference length, what `tasks.evaluation.bootstrap.ratio` takes."""
        return np.stack([self.errors, self.lengths], axis=1).astype(np.float64)


def match_units(produced: Sequence[Units], reference: Sequence[Units]) -> list[np.ndarray]:
    """For each reference unit the equal produced unit that stands for it, or -1.

    Units are matched along a longest common subsequence; of several, the one that matches later
    units.

    Args:
        produced, reference: N sequences each.

    Returns:
        N arrays R, int64.
    """
    found = []
    # An unequal pair costs more than leaving out both of its units.
    for wanted, partner in zip(
        reference, align(produced, reference, gap=1, unequal=3), strict=True
    ):
        row = np.full(len(wanted), -1)
        matched = partner >= 0
        row[partner[matched]] = np.flatnonzero(matched)
        found.append(row)
    return found


def edit(hypotheses: Sequences, references: Sequences) -> Edits:
    """Align every hypothesis with its reference at the smallest number of edits."""
    # An edit costs more than the surcharge of all substitutions there can be: of alignments with
    # equally few edits, the one with the fewest substitutions has the most equal pairs.
    cost = sum(max(map(len, side), default=0) for side in (hypotheses, references)) + 1
    pairs = align(references, hypotheses, gap=cost, unequal=cost + 1)
    lengths = np.array(list(map(len, references)))
    aligned = np.array([int((partner >= 0).sum()) for partner in pairs])
    unlike = [
        sum(place >= 0 and units[place] != unit for place, unit in zip(row, wanted, strict=True))
        for row, units, wanted in zip(pairs, hypotheses, references, strict=True)
    ]
    return Edits(
        substitutions=np.array(unlike),
        insertions=np.array(list(map(len, hypotheses))) - aligned,
        deletions=lengths - aligned,
        lengths=lengths,
        pairs=tuple(pairs),
    )


def align(
    first: Sequence[Units], second: Sequence[Units], *, gap: int, unequal: int
) -> list[np.ndarray]:
    """For each unit of `first` the place of its partner in `second`, or -1, at the lowest cost.

    Going back from the end, ties are broken alike in every example: a pair is preferred to a gap,
    and leaving out a unit of `first` to leaving out one of `second`.

    Args:
        first, second: N sequences each.
        gap: the cost of a unit without a partner.
        unequal: the cost of a pair of unequal units; equal ones cost nothing.

    Returns:
        N arrays of the lengths of `first`, int64.
    """
    found: list[np.ndarray] = [np.zeros(0, np.int64)] * len(first)
    for places, sizes, rows, columns in _batches(first, second):
        partners = _trace_back(
            _costs(rows, columns, gap, unequal), sizes, rows, columns, gap, unequal
        )
        for place, size, row in zip(places, sizes, partners, strict=True):
            found[place] = row[: size[0]]
    return found


def _costs(rows: np.ndarray, columns: np.ndarray, gap: int, unequal: int) -> np.ndarray:
    """Lowest costs between all prefixes of B,R and B,C units: B,R+1,C+1 int32.

    Within a row a gap depends on the entry before; the chain of them is a running minimum of the
    entries less the gaps up to their place.
    """
    (B, R), C = rows.shape, columns.shape[1]
    gaps = np.arange(C + 1, dtype=np.int32) * np.int32(gap)
    table = np.empty((B, R + 1, C + 1), np.int32)
    table[:, 0] = gaps
    for row in range(R):
        above = table[:, row]  # B,C+1
        best = above + np.int32(gap)
        pair = above[:, :-1] + (columns != rows[:, row, None]) * np.int32(unequal)  # B,C
        np.minimum(best[:, 1:], pair, out=best[:, 1:])
        table[:, row + 1] = np.minimum.accumulate(best - gaps, axis=1) + gaps
    return table


def _trace_back(
    table: np.ndarray,
    sizes: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    gap: int,
    unequal: int,
) -> np.ndarray:
    """The partner of every row's unit, or -1: B,R, from the costs B,R+1,C+1."""
    partner = np.full(rows.shape, -1, np.int64)
    r, c = sizes.T.copy()  # B: where each example stands
    while (at := np.flatnonzero((r > 0) & (c > 0))).size:
        row, column = r[at], c[at]
        here = table[at, row, column]
        differ = rows[at, row - 1] != columns[at, column - 1]
        paired = here == table[at, row - 1, column - 1] + differ * unequal
        left_out = ~paired & (here == table[at, row - 1, column] + gap)
        partner[at[paired], row[paired] - 1] = column[paired] - 1
        r[at] -= paired | left_out
        c[at] -= ~left_out
    return partner


def _batches(
    first: Sequence[Units], second: Sequence[Units]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Examples of similar sizes, so many that their padded tables stay within `BLOCK`.

    Yields:
        The places of B examples, their sizes B,2, and their units as numbers, padded: B,R of
        `first` and B,C of `second`. Padding never equals a unit.
    """
    assert len(first) == len(second)
    numbers: dict[Hashable, int] = {}
    coded = [
        [[numbers.setdefault(unit, len(numbers)) for unit in units] for units in side]
        for side in (first, second)
    ]
    sizes = np.array([list(map(len, side)) for side in coded], dtype=np.int64).T  # N,2
    order = np.lexsort(sizes.T)
    for places in np.split(order, _borders(sizes[order] + 1)):
        rows, columns = (
            _padded([side[place] for place in places], -1 - n) for n, side in enumerate(coded)
        )
        yield places, sizes[places], rows, columns


def _borders(sizes: np.ndarray) -> list[int]:
    """Where to cut examples, so that their padded tables (N,2) stay within `BLOCK`."""
    borders, start = [], 0
    most = sizes[:1].max(axis=0, initial=1)
    for place in range(1, len(sizes)):
        most = np.maximum(most, sizes[place])
        if (place + 1 - start) * int(most.prod()) > BLOCK:
            borders.append(place)
            start, most = place, sizes[place]
    return borders


def _padded(rows: list[list[int]], fill: int) -> np.ndarray:
    sizes = np.array(list(map(len, rows)))
    out = np.full((len(rows), int(sizes.max(initial=0))), fill, dtype=np.int32)
    out[np.arange(out.shape[1]) < sizes[:, None]] = [unit for row in rows for unit in row]
    return out

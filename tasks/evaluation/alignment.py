"""Agreement of attention weights with gold alignments: the same figures for every task.

Alignment error rate after Och and Ney (2003, equation 9): with sure links S, possible links P
(S inside P) and found links A, AER = 1 - (|A & S| + |A & P|) / (|A| + |S|). A holds one link per
target unit that has gold, to its largest weight. Word alignments are sure. Phrases, boxes and
spans of time link a target unit to a region of which any unit is right; their links are possible
only, and AER is then 1 - |A & P| / |A|.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

import numpy as np

from bench.attention.base import WeightsKind
from bench.errors import NotApplicable
from bench.store.result import AlignmentFigures

#: Pairs (target unit, source unit).
Links = Sequence[tuple[int, int]]


def weights_notes(kind: WeightsKind) -> tuple[str, ...]:
    """What a reader of alignment figures and traces must know of weights of this kind."""
    if kind == "distribution":
        return ()
    return (
        f"attention weights are {kind}: alignment and traces show each one's share of the sum of "
        "absolute weights",
    )


@dataclass(frozen=True)
class Agreement:
    """Counts of one example, or of several added up.

    Attributes:
        found: |A|, target units judged.
        on_sure, on_possible: |A & S|, |A & P|. Where several weights are equally the largest,
            each counts its share, so that uniform weights get what chance would get.
        sure: |S| over the target units judged.
        mass: summed weight on gold units.
        with_gold: target units that have gold, judged or not.
    """

    found: float = 0.0
    on_sure: float = 0.0
    on_possible: float = 0.0
    sure: float = 0.0
    mass: float = 0.0
    with_gold: float = 0.0

    def figures(self) -> AlignmentFigures:
        """Micro averages: each target unit weighs the same. None where nothing was judged."""
        covered = self.found / self.with_gold if self.with_gold else None
        if not self.found:
            return AlignmentFigures(coverage=covered)
        return AlignmentFigures(
            aer=1.0 - (self.on_sure + self.on_possible) / (self.found + self.sure),
            mass_on_gold=self.mass / self.found,
            pointing_accuracy=self.on_possible / self.found,
            coverage=covered,
        )


@dataclass(frozen=True)
class Case:
    """One example to be judged.

    Attributes:
        weights: T,S over target units as produced (or as read, when forced).
        gold: links of the reference's units, or the same as L,2.
        produced: R, for each reference unit the row of `weights` that stands for it, or -1
            (`tasks.evaluation.sequence_alignment`). None: row t is reference unit t.
    """

    weights: np.ndarray
    gold: Links | np.ndarray
    produced: np.ndarray | None = None


def agreement(cases: Iterable[Case], *, sure: bool = True) -> Agreement:
    """Compare the weights of all examples with their gold links.

    Args:
        cases: all with `produced`, or none; gone through once, a block at a time.
        sure: whether the links are sure, or possible only.
    """
    counts = [
        agreement_counts(block, Ragged.of([one.weights for one in block]), sure)
        for block in blocks(cases)
    ]
    return Agreement(*np.concatenate(counts).sum(axis=0).tolist()) if counts else Agreement()


def agreement_counts(cases: Sequence[Case], weights: Ragged, sure: bool) -> np.ndarray:
    """N,6: the fields of `Agreement` of every example.

    Args:
        weights: those of the cases.
    """
    cells, with_gold = _gold_cells(cases, weights)
    linked = np.zeros(len(weights.cells), dtype=bool)
    linked[cells] = True  # a link given twice is one link
    size, of_rows = len(cases), weights.counts(linked)  # R
    judged = of_rows > 0
    found = np.bincount(weights.owner[judged], minlength=size)
    hits = weights.counts(weights.largest & linked)[judged] / np.maximum(weights.ties[judged], 1)
    on_possible = run_sums(hits, found)
    links = run_sums(of_rows, weights.rows)
    mass = run_sums(weights.cells[linked].astype(np.float64), links)
    scale = float(sure)
    counts = [found, on_possible * scale, on_possible, links * scale, mass, with_gold]
    return np.stack(counts, axis=1)


def _gold_cells(cases: Sequence[Case], weights: Ragged) -> tuple[np.ndarray, np.ndarray]:
    """The cells of the links whose target unit was produced, and of each example the number of
    target units that have gold (N)."""
    owner = np.repeat(np.arange(len(cases)), [len(one.gold) for one in cases])  # L
    gold = [np.asarray(one.gold, dtype=np.int64).reshape(-1, 2) for one in cases]
    target, source = np.concatenate(gold).T  # L each
    span = int(target.max(initial=0)) + 1
    units = np.unique(owner * span + target) // span
    row = target  # L, the row that stands for each link's target unit, or -1
    if produced := [one.produced for one in cases if one.produced is not None]:
        assert len(produced) == len(cases)
        first = starts_of(np.array(list(map(len, produced))))  # N
        row = np.concatenate(produced)[first[owner] + target]
    written = (row >= 0) & (row < weights.rows[owner])
    owner, row, source = owner[written], row[written], source[written]
    assert (source < weights.widths[owner]).all(), "a link to a source unit that is not there"
    cells = weights.row_starts[weights.first_rows[owner] + row] + source
    return cells, np.bincount(units, minlength=len(cases))


def merge_pieces(
    weights: np.ndarray, target_words: np.ndarray, source_words: np.ndarray
) -> np.ndarray:
    """From weights over pieces T,S to weights over words: sums over the pieces of a source word,
    means over the pieces of a target word.

    Args:
        target_words: T, the word of every target piece; -1 leaves the piece out (end symbol).
        source_words: S, likewise. Weight on a piece left out is lost; to keep rows summing to 1,
            give an end symbol a word of its own.
    """
    merged = np.asarray(weights, dtype=np.float64)
    # Where every piece is a word of its own, nothing is to be merged.
    if not np.array_equal(target_words, np.arange(len(target_words))):
        rows = _membership(target_words)  # Tw,T
        rows /= np.maximum(rows.sum(axis=1, keepdims=True), 1.0)
        merged = rows @ merged
    if not np.array_equal(source_words, np.arange(len(source_words))):
        merged = merged @ _membership(source_words).T  # Tw,S @ S,Sw
    return merged


def gold_weights(
    links: Sequence[Links | None], target_words: np.ndarray, source_words: np.ndarray
) -> np.ndarray:
    """Gold links as weights over pieces B,T,S float32, in the way of `merge_pieces`: each piece of
    a target word has its word's row; a row is uniform over the source words linked, and each of
    these shares its part among its pieces. Rows without links are 0.

    Args:
        links: of words, B; None where nothing is known.
        target_words: B,T, the word of every target piece; -1 where there is none (end, padding).
        source_words: B,S, likewise.
    """
    counts = [len(one or ()) for one in links]
    owner = np.repeat(np.arange(len(links)), counts)  # L
    pairs = [np.asarray(one, dtype=np.int64) for one in links if one]
    target, source = np.concatenate(pairs).T if pairs else np.zeros((2, 0), dtype=np.int64)
    # a last row and column, never linked, stand for the words -1
    shape = (len(links), int(target_words.max()) + 2, int(source_words.max()) + 2)
    words = np.zeros(shape, dtype=np.float32)
    known = (target < shape[1] - 1) & (source < shape[2] - 1)
    words[owner[known], target[known], source[known]] = 1.0
    pieces = np.zeros(shape[::2], dtype=np.float32)  # B,Sw, how many pieces a word has
    rows = np.arange(len(links))[:, None]
    np.add.at(pieces, (rows, source_words), 1.0)
    words *= pieces[:, None] > 0  # words cut off have no piece to attend to
    words /= np.maximum(words.sum(axis=2, keepdims=True), 1.0)
    words /= np.maximum(pieces, 1.0)[:, None]
    return words[rows[:, :, None], target_words[:, :, None], source_words[:, None]]


def require_gold(known: bool) -> None:
    """Raise NotApplicable where a setting asks for gold alignments that training data lack."""
    if not known:
        raise NotApplicable(
            "the training examples have no gold alignments", where="--set gold_attention"
        )


def _membership(words: np.ndarray) -> np.ndarray:
    words = np.asarray(words, dtype=np.int64)
    count = int(words.max(initial=-1)) + 1
    return (words == np.arange(count)[:, None]).astype(np.float64)


def uniform_weights(target: int, source: int) -> np.ndarray:
    """T,S weights that know nothing: the baseline every mechanism must beat."""
    return np.full((target, source), 1.0 / max(source, 1))


def diagonal_weights(target: int, source: int) -> np.ndarray:
    """T,S weights that know only how far along the target is: all on the same share of the
    source."""
    weights = np.zeros((target, source))
    places = (np.arange(target) + 0.5) * source / max(target, 1)
    weights[np.arange(target), places.astype(np.int64)] = 1.0
    return weights


#: Cells of ragged matrices held at once (some 50 bytes each).
BLOCK = 1_000_000


class Weighted(Protocol):
    """An example that has a matrix of weights."""

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
    return np.cumsum(counts) - counts


def places_in(counts: np.ndarray) -> np.ndarray:
    """The place of every value within its run: 0 to count - 1, run by run."""
    return np.arange(counts.sum()) - np.repeat(starts_of(counts), counts)


def run_sums(values: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Sums of consecutive runs of `counts` values; 0 for an empty run."""
    starts = starts_of(counts)
    # `reduceat` takes the first value apart and knows no empty run; with a zero in front of every
    # run it adds the others as `sum` does: in pairs, from 0.
    padded = np.insert(values, starts, 0)
    return np.add.reduceat(padded, starts + np.arange(len(counts)))


@dataclass(frozen=True)
class Ragged:
    """N matrices T,S of weights as one run of cells, so that figures of all take one pass: C cells
    and R rows in all. Sums are numpy's sums of each run alone, to the last bit.

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
        return np.add.reduceat(chosen, self.row_starts, dtype=np.int64)

    @cached_property
    def largest(self) -> np.ndarray:
        """C bool, whether a cell is as large as the largest of its row and not below 0."""
        most = np.maximum(np.maximum.reduceat(self.cells, self.row_starts), 0)
        return self.cells == self.along(most)

    @cached_property
    def ties(self) -> np.ndarray:
        """R, how many cells of the row are the largest."""
        return self.counts(self.largest)

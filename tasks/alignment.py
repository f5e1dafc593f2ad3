"""Agreement of attention weights with gold alignments: the same figures for every task.

Alignment error rate after Och and Ney (2003, equation 9): with sure links S, possible links P
(S inside P) and found links A, AER = 1 - (|A & S| + |A & P|) / (|A| + |S|). A holds one link per
target unit that has gold, to its largest weight. Word alignments are sure. Phrases, boxes and
spans of time link a target unit to a region of which any unit is right; their links are possible
only, and AER is then 1 - |A & P| / |A|.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from bench.result import AlignmentFigures

#: Pairs (target unit, source unit).
Links = Sequence[tuple[int, int]]


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
            return AlignmentFigures(covered=covered)
        return AlignmentFigures(
            aer=1.0 - (self.on_sure + self.on_possible) / (self.found + self.sure),
            mass_on_gold=self.mass / self.found,
            pointing=self.on_possible / self.found,
            covered=covered,
        )


def total(agreements: Iterable[Agreement]) -> Agreement:
    """The counts of all examples together."""
    rows = [[getattr(one, field.name) for field in fields(Agreement)] for one in agreements]
    return Agreement(*np.sum(rows, axis=0).tolist()) if rows else Agreement()


def agreement(
    weights: np.ndarray,
    gold: Links,
    *,
    sure: bool = True,
    produced: np.ndarray | None = None,
) -> Agreement:
    """Compare the weights of one example with its gold links.

    Args:
        weights: T,S over target units as produced (or as read, when forced).
        gold: links of the reference's units.
        sure: whether the links are sure, or possible only.
        produced: R, for each reference unit the row of `weights` that stands for it, or -1
            (`match_units`). None: row t is reference unit t.
    """
    if not gold:
        return Agreement()
    target, source = np.asarray(gold, dtype=np.int64).T
    with_gold = len(np.unique(target))
    rows = target if produced is None else produced[target]
    judged = (rows >= 0) & (rows < len(weights))
    linked = np.zeros(weights.shape, dtype=bool)  # T,S
    linked[rows[judged], source[judged]] = True
    has_gold = linked.any(axis=1)
    linked, used = linked[has_gold], weights[has_gold]  # J,S
    largest = used == used.max(axis=1, keepdims=True, initial=0.0)
    hits = ((largest & linked).sum(axis=1) / np.maximum(largest.sum(axis=1), 1)).sum()
    return Agreement(
        found=len(used),
        on_sure=hits if sure else 0.0,
        on_possible=hits,
        sure=linked.sum() if sure else 0.0,
        mass=used[linked].sum(dtype=np.float64),
        with_gold=with_gold,
    )


def match_units(produced: Sequence[str], reference: Sequence[str]) -> np.ndarray:
    """For each reference unit the produced unit that stands for it, or -1. R, int64.

    Units are matched along a longest common subsequence, so that the links of a reference can be
    carried over to what a model wrote freely. Of several, the one that matches later units.
    """
    lengths = np.zeros((len(produced) + 1, len(reference) + 1), dtype=np.int64)
    names = np.asarray(list(reference), dtype=object)
    equal = np.zeros((len(produced), len(reference)), dtype=bool)
    for row, unit in enumerate(produced):
        equal[row] = names == unit
        longer = np.where(equal[row], lengths[row, :-1] + 1, lengths[row, 1:])
        lengths[row + 1, 1:] = np.maximum.accumulate(longer)
    return _backtrack(lengths, equal)


def _backtrack(lengths: np.ndarray, equal: np.ndarray) -> np.ndarray:
    row, column = equal.shape
    matched = np.full(column, -1, dtype=np.int64)
    while row and column:
        if equal[row - 1, column - 1]:
            row, column = row - 1, column - 1
            matched[column] = row
        elif lengths[row - 1, column] >= lengths[row, column - 1]:
            row -= 1
        else:
            column -= 1
    return matched


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
    rows, columns = _membership(target_words), _membership(source_words)  # Tw,T and Sw,S
    rows /= np.maximum(rows.sum(axis=1, keepdims=True), 1.0)
    return rows @ weights @ columns.T  # Tw,T @ T,S @ S,Sw


def _membership(words: np.ndarray) -> np.ndarray:
    words = np.asarray(words, dtype=np.int64)
    count = int(words.max(initial=-1)) + 1
    return (words == np.arange(count)[:, None]).astype(np.float64)


def uniform_weights(target: int, source: int) -> np.ndarray:
    """T,S weights that know nothing: the control every mechanism must beat."""
    return np.full((target, source), 1.0 / max(source, 1))


def diagonal_weights(target: int, source: int) -> np.ndarray:
    """T,S weights that know only how far along the target is: all on the same share of the
    source."""
    weights = np.zeros((target, source))
    places = (np.arange(target) + 0.5) * source / max(target, 1)
    weights[np.arange(target), places.astype(np.int64)] = 1.0
    return weights

"""Counts of the n-grams that texts share, for all texts of a test set at once.

An n-gram is numbered by the one it extends and its last unit, so that counting is sorting numbers.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

# N-grams are numbered anew where their numbers would pass this: with the number of a text before
# it, one fits into 64 bits.
_RENUMBER = _MOST = 2**40


@dataclass(frozen=True)
class Overlap:
    """N-grams of N texts and of their references.

    Attributes:
        matches: N,order: n-grams found in the reference too, each as often as in both; of several
            references, as often as in the one that has it most often.
        known: N,order: n-grams that a reference has at all, as often as they are in the text.
        totals: N,order: n-grams of the text.
        reference_totals: M,order: n-grams of each reference.
    """

    matches: np.ndarray
    known: np.ndarray
    totals: np.ndarray
    reference_totals: np.ndarray


def overlap(
    texts: Sequence[Sequence[Hashable]],
    references: Sequence[Sequence[Hashable]],
    order: int,
    *,
    owners: np.ndarray | None = None,
) -> Overlap:
    """Count n-grams of 1 to `order` units.

    Args:
        texts: N.
        references: M.
        owners: M, the text that each reference belongs to. None: one each, in order.
    """
    count = len(texts)
    owners = np.arange(count) if owners is None else owners
    assert len(owners) == len(references)
    matches, known = np.zeros((2, count, order), dtype=np.int64)
    totals = np.zeros((count + len(references), order), dtype=np.int64)
    for column, (text, gram) in enumerate(ngrams([*texts, *references], order)):
        totals[:, column] = np.bincount(text, minlength=len(totals))
        written = text < count
        grams, times = _counted(text[written], gram[written])
        wanted, most = _wanted(text[~written] - count, gram[~written], owners)
        place, found = lookup(wanted, grams)
        times, holder = times[found], grams[found] // _MOST
        shared = np.minimum(times, most[place[found]])
        matches[:, column] = np.bincount(holder, shared, minlength=count)
        known[:, column] = np.bincount(holder, times, minlength=count)
    return Overlap(matches, known, totals[:count], totals[count:])


def _wanted(
    reference: np.ndarray, gram: np.ndarray, owners: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """N-grams of all references of each text, and how often the one has it that has it most."""
    grams, times = _counted(reference, gram)
    grams = owners[grams // _MOST] * _MOST + grams % _MOST
    order = np.argsort(grams, kind="stable")
    wanted, first = np.unique(grams[order], return_index=True)
    return wanted, np.maximum.reduceat(times[order], first) if len(first) else times


def lookup(known: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each value stands among `known`, which is sorted, and whether it does at all."""
    if not len(known):
        return np.zeros(len(values), dtype=np.int64), np.zeros(len(values), dtype=bool)
    place = np.minimum(np.searchsorted(known, values), len(known) - 1)
    return place, known[place] == values


def _counted(text: np.ndarray, gram: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Each n-gram of each text once, as text * _MOST + n-gram, sorted; and how often it occurs."""
    return np.unique(text * _MOST + gram, return_counts=True)


def ngrams(
    texts: Sequence[Sequence[Hashable]], order: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """For n of 1 to `order` the n-grams of all texts in a row: the text and the number of each."""
    units = numbered(texts)
    size = int(units.max(initial=0)) + 1
    text = np.repeat(np.arange(len(texts)), list(map(len, texts)))
    last = np.arange(len(units))  # the place of the last unit of each n-gram
    grams, most = units, size
    yield text, grams
    for _ in range(1, order):
        inside = np.append(text[1:] == text[:-1], False)[: len(text)]  # one that can be extended
        text, last = text[inside], last[inside] + 1
        grams, most = grams[inside] * size + units[last], most * size
        if most > _RENUMBER:
            different, grams = np.unique(grams, return_inverse=True)
            most = len(different)
        yield text, grams


def numbered(texts: Sequence[Sequence[Hashable]]) -> np.ndarray:
    """All units of all texts in a row, as numbers from 0 on; equal units have equal ones."""
    numbers: dict[Hashable, int] = {}
    units = chain.from_iterable(texts)
    return np.array([numbers.setdefault(unit, len(numbers)) for unit in units], dtype=np.int64)

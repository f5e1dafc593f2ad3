"""McNemar's test (1947): two classifiers on the same examples, by what one alone gets right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.samples import Sample
from reports.significance import holm_pairs


@dataclass(frozen=True)
class Disagreements:
    """Every two of V contenders.

    Attributes:
        only: V,V; examples that the row's contender gets right and the column's does not. NaN
            where two were not tested on the same examples.
        p: V,V two-sided exact p of each pair.
        adjusted: V,V the same after Holm over all pairs.
    """

    only: np.ndarray
    p: np.ndarray
    adjusted: np.ndarray


@dataclass(frozen=True)
class Marked:
    """Which examples of a test set somebody gets right: N booleans."""

    test_set: str
    right: np.ndarray


def marked(sample: Sample) -> Marked | None:
    """The examples of a sample whose statistics are right (1 or 0) and 1; None for any other."""
    if sample.statistics.shape[1:] != (2,) or not (sample.statistics[:, 1] == 1).all():
        return None
    right = sample.statistics[:, 0]
    return Marked(sample.test_set, right > 0) if np.isin(right, (0, 1)).all() else None


def disagreements(found: Sequence[Marked | None]) -> Disagreements:
    """All pairs of contenders; one seed each, since the test is of two sets of predictions."""
    size = len(found)
    only = np.full((size, size), np.nan)
    for test_set in {one.test_set for one in found if one}:
        places = [place for place, one in enumerate(found) if one and one.test_set == test_set]
        right = np.stack([one.right for one in found if one and one.test_set == test_set])
        counts = right.astype(np.float64) @ (~right).astype(np.float64).T  # V,N @ N,V
        only[np.ix_(places, places)] = counts
    p = mcnemar_p(only, only.T)
    np.fill_diagonal(p, np.nan)
    return Disagreements(only, p, holm_pairs(p))


def mcnemar_p(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Exact two-sided p: how likely a split at least as uneven is if either side of every
    disagreement were as likely (binomial, one half). 1 where nobody disagrees."""
    fewer, every = np.fmin(first, second), first + second
    p = np.minimum(1.0, 2 * stats.binom.cdf(fewer, every, 0.5))
    return np.where(every == 0, 1.0, p)

"""Paired bootstrap of several contenders' figures (Efron 1979; for translation Koehn 2004).

Everything measured on one test set is resampled with the same draws. Figures of two contenders
are then paired by construction: what a draw does to both cancels in their difference. (The
interval that a trial stores tells of one contender alone; `tasks.evaluation.bootstrap` has the
draws of both.)

A headline figure is a function of sums over examples: BLEU of n-gram counts, an error rate of
errors and reference lengths, accuracy of ones and zeros. Resampling examples then needs no text:
it only sums other examples.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache

import numpy as np
from threadpoolctl import ThreadpoolController

from tasks.evaluation.bootstrap import RESAMPLES, Figure, draw_counts, perplexity, ratio
from tasks.translation.evaluate import ORDER, bleu


@dataclass(frozen=True)
class Aggregator:
    """How a figure is made of sums.

    Attributes:
        columns: how many statistics an example has; 0 uses its score, counted once an example.
        combine: sums (..., K) to figures (...).
    """

    columns: int
    combine: Figure

    def table(self, statistics: np.ndarray, scores: np.ndarray) -> np.ndarray | None:
        """What is summed, N,K, or None where the examples do not carry it.

        Args:
            statistics: N,K; K may be 0.
            scores: N.
        """
        if self.columns == 0:
            return np.column_stack([scores, np.ones(len(scores))])
        return statistics if statistics.shape[1] == self.columns else None

    def figure(self, table: np.ndarray) -> float:
        """The figure of the examples as they are; `table` is N,K."""
        return float(self.combine(table.sum(axis=0)))


BLEU = Aggregator(2 + 2 * ORDER, bleu)
RATIO = Aggregator(2, ratio)
PERPLEXITY = Aggregator(2, perplexity)
#: Mean of the examples' scores.
MEAN = Aggregator(0, ratio)

#: By headline figure. For any other, the first of all that gives the stored figure.
_BY_METRIC = {"bleu": BLEU, "per": RATIO, "wer": RATIO, "cer": RATIO, "perplexity": PERPLEXITY}
_RANGES = {"bleu": (0.0, 100.0), "accuracy": (0.0, 1.0), "rouge": (0.0, 1.0)}


def candidates(metric: str) -> tuple[Aggregator, ...]:
    """The aggregators to try for a headline figure, in this order."""
    known = _BY_METRIC.get(metric.lower())
    return (known,) if known else (RATIO, BLEU, MEAN)


def fitting(
    tried: Iterable[Aggregator], statistics: np.ndarray, scores: np.ndarray, stored: float
) -> Aggregator | None:
    """The first aggregator that makes the stored figure of the examples, or None."""
    for one in tried:
        table = one.table(statistics, scores)
        if table is not None and abs(one.figure(table) - stored) <= 1e-4 * max(abs(stored), 1e-2):
            return one
    return None


def bounds(metric: str) -> tuple[float, float]:
    """The least and the largest figure there can be; intervals end there."""
    return _RANGES.get(re.split(r"[^a-z]", metric.lower())[0], (0.0, np.inf))


@dataclass
class Resampler:
    """Draws with replacement, made once per test set and then shared.

    The draws follow from the test set's name alone, so that a report of the same results is the
    same report. Make one per frame: it holds draws x N counts for each test set it has seen.
    """

    draws: int = RESAMPLES
    _counts: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)

    def figures(self, test_set: str, table: np.ndarray, aggregator: Aggregator) -> np.ndarray:
        """The aggregated figure of every draw.

        Args:
            test_set: hexadecimal digest that names the examples.
            table: N,K summands (`Aggregator.table`).
        """
        key = test_set, len(table)
        if key not in self._counts:
            blocks = draw_counts(len(table), self.draws, seed=int(test_set[:16], 16))
            self._counts[key] = np.concatenate([block.astype(np.float32) for block in blocks])
        # Counts of words and errors are small whole numbers: single precision sums them exactly.
        # Threads wait for one another twenty times longer than such a small product takes.
        with _threads().limit(limits=1, user_api="blas"):
            sums = self._counts[key] @ table.astype(np.float32)  # draws,K
        return aggregator.combine(sums.astype(np.float64))


@cache
def _threads() -> ThreadpoolController:
    """Looking for the libraries that have threads takes longer than what they are asked to do."""
    return ThreadpoolController()


def difference_variances(
    draws: list[np.ndarray | None], variances: np.ndarray, test_sets: list[str | None]
) -> np.ndarray:
    """Variance over examples of every pair's difference, V,V.

    Args:
        draws: per contender its figure in every draw, or None where no examples are kept.
        variances: V, the variance of each figure by itself.
        test_sets: per contender what its draws were made of, or None.

    Pairs on one test set are paired. Where examples are missing the two variances are added,
    which is right for independent figures and cautious for others. Two different test sets must
    not be compared: NaN.
    """
    total = variances[:, None] + variances[None, :]
    names = np.array([name or "" for name in test_sets])
    both = (names[:, None] != "") & (names[None, :] != "")
    result = np.where(both & (names[:, None] != names[None, :]), np.nan, total)
    for name in sorted(set(names) - {""}):
        members = np.flatnonzero(names == name)
        stacked = np.stack([figures for i in members if (figures := draws[i]) is not None])
        covariance = np.atleast_2d(np.cov(stacked))
        own = np.diag(covariance)
        paired = own[:, None] + own[None, :] - 2 * covariance
        floor = 1e-10 * (own[:, None] + own[None, :])  # rounding, not variance
        result[np.ix_(members, members)] = np.where(paired <= floor, 0.0, paired)
    return result

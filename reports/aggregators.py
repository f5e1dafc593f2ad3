"""From figures per example to the figure of a test set.

A headline figure is a function of sums over examples: BLEU of n-gram counts, an error rate of
errors and reference lengths, accuracy of ones and zeros. Resampling examples then needs no text:
it only sums other examples.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from tasks.intervals import ratio
from tasks.translation.metrics import ORDER, bleu


@dataclass(frozen=True)
class Aggregator:
    """How a figure is made of sums.

    Attributes:
        name: what it is, for notes.
        columns: how many statistics an example has; 0 uses its score, counted once an example.
        combine: sums (..., K) to figures (...).
    """

    name: str
    columns: int
    combine: Callable[[np.ndarray], np.ndarray]

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


def fast_bleu(sums: np.ndarray) -> np.ndarray:
    """The task's BLEU of sums (..., 10), equal but for rounding: products in place of logarithms,
    as thousands of draws want it. What must be smoothed is left to the task."""
    matches, totals = sums[..., 2 : 2 + ORDER], sums[..., 2 + ORDER :]
    if not (matches > 0).all():
        return bleu(sums)
    precision = np.prod(matches / totals, axis=-1) ** (1.0 / ORDER)
    penalty = np.exp(np.minimum(0.0, 1.0 - sums[..., 1] / sums[..., 0]))
    return 100.0 * penalty * precision


def perplexity(sums: np.ndarray) -> np.ndarray:
    """Of summed negative log-likelihoods in nats and of units (..., 2), as tasks work it out."""
    return np.exp(np.minimum(ratio(sums), 50.0))


BLEU = Aggregator("corpus BLEU", 2 + 2 * ORDER, fast_bleu)
RATIO = Aggregator("ratio of sums", 2, ratio)
PERPLEXITY = Aggregator("perplexity", 2, perplexity)
MEAN = Aggregator("mean of the examples' scores", 0, ratio)

#: By headline figure. For any other, the first of all that gives the stored figure.
_BY_METRIC = {
    "bleu": (BLEU,),
    "per": (RATIO,),
    "wer": (RATIO,),
    "cer": (RATIO,),
    "perplexity": (PERPLEXITY,),
}
_RANGES = {"bleu": (0.0, 100.0), "accuracy": (0.0, 1.0), "rouge": (0.0, 1.0)}


def candidates(metric: str) -> tuple[Aggregator, ...]:
    """The aggregators to try for a headline figure, in this order."""
    return _BY_METRIC.get(metric.lower(), (RATIO, BLEU, MEAN))


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

"""Paired bootstrap of several contenders' figures (Efron 1979; for translation Koehn 2004).

Everything measured on one test set is resampled with the same draws. Figures of two contenders
are then paired by construction: what a draw does to both cancels in their difference. (The
interval that a trial stores tells of one contender alone; `tasks.evaluation.bootstrap` has the
draws of both.)

A headline figure is a function of sums over examples: BLEU of n-gram counts, an error rate of
errors and reference lengths, accuracy of ones and zeros. Resampling examples then needs no text:
it only sums other examples.

Where few examples tell two contenders apart, the draws know nothing of those that would do so among
other examples: four answers of 50 that only one of two contenders has right come by chance in one
of eight comparisons, and their variance calls them significant. Two more examples, one in favour of
each, keep the claim honest (Bonett and Price 2012, for paired proportions; `few_unlike`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
from threadpoolctl import ThreadpoolController

from tasks.captioning.metrics import EXTREMES as CIDER_EXTREMES
from tasks.evaluation.bootstrap import (
    FRACTIONS,
    RESAMPLES,
    Extremes,
    Figure,
    draw_counts,
    edge_interval,
    percentiles,
    perplexity,
    ratio,
)
from tasks.translation.metrics import EXTREMES as BLEU_EXTREMES
from tasks.translation.metrics import ORDER, bleu

#: With fewer examples than this that tell two contenders apart, two more are added.
FEWEST_APART = 25


@dataclass(frozen=True)
class Aggregator:
    """How a figure is made of sums.

    Attributes:
        columns: how many statistics an example has; 0 uses its score, counted once an example.
        combine: sums (..., K) to figures (...).
        extremes: what single examples can be; None where there is no end.
    """

    columns: int
    combine: Figure
    extremes: Extremes | None = FRACTIONS

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

    def edge_interval(self, table: np.ndarray) -> tuple[float, float] | None:
        """The interval where all examples but a few are alike, else None
        (`tasks.evaluation.bootstrap`)."""
        if self.extremes is None:
            return None
        return edge_interval(table, self.combine, self.extremes)


BLEU = Aggregator(2 + 2 * ORDER, bleu, BLEU_EXTREMES)
RATIO = Aggregator(2, ratio)
CIDER = Aggregator(2, ratio, CIDER_EXTREMES)
PERPLEXITY = Aggregator(2, perplexity, None)
#: Mean of the examples' scores.
MEAN = Aggregator(0, ratio)

#: By headline figure. For any other, the first of all that gives the stored figure.
_BY_METRIC = {"bleu": BLEU, "per": RATIO, "wer": RATIO, "cer": RATIO, "perplexity": PERPLEXITY}
_RANGES = {"bleu": (0.0, 100.0), "accuracy": (0.0, 1.0), "rouge": (0.0, 1.0)}


def candidates(metric: str) -> tuple[Aggregator, ...]:
    """The aggregators to try for a headline figure, in this order."""
    known = _BY_METRIC.get(metric.lower())
    if known:
        return (known,)
    return (CIDER if metric.lower() == "cider" else RATIO), BLEU, MEAN


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


@dataclass(frozen=True)
class Drawn:
    """A figure on one test set, of one trained model or the mean of several.

    Attributes:
        value: on the examples as they are.
        draws: R, the figure of every draw.
        low, high: its interval over examples.
        at_edge: whether the interval was counted, not drawn (`edge_interval`).
        codes: N, one number an example; two models' differ where their statistics do.
        span: the range of the figure on these examples.
    """

    value: float
    draws: np.ndarray
    low: float
    high: float
    at_edge: bool
    codes: np.ndarray
    span: float

    @property
    def variance(self) -> float:
        return float(np.var(self.draws, ddof=1))


def mean_drawn(drawn: Sequence[Drawn]) -> Drawn:
    """The mean over several models. Its interval is that of the mean's draws, or where one model's
    was counted, the mean interval: the models share their examples."""
    if len(drawn) == 1:
        return drawn[0]
    draws = np.asarray(np.mean([one.draws for one in drawn], axis=0, dtype=np.float64))
    at_edge = any(one.at_edge for one in drawn)
    ends = np.mean([(one.low, one.high) for one in drawn], axis=0).tolist()
    low, high = ends if at_edge else percentiles(draws)
    every = [one.codes for one in drawn]
    # Models that were tested on different examples share none; each example then counts by itself.
    shared = len({len(codes) for codes in every}) == 1
    codes = np.asarray(np.mean(every, axis=0)) if shared else np.concatenate(every)
    value, span = float(np.mean([one.value for one in drawn])), max(one.span for one in drawn)
    return Drawn(value, draws, low, high, at_edge, codes, span)


@dataclass
class Resampler:
    """Draws with replacement, made once per test set and then shared.

    The draws follow from the test set's name alone, so that a report of the same results is the
    same report. Make one per frame: it holds draws x N counts for each test set it has seen.
    """

    draws: int = RESAMPLES
    _counts: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)

    def measure(
        self, test_set: str, table: np.ndarray, aggregator: Aggregator, *, intervals: bool = True
    ) -> Drawn:
        """A figure with its draws and its interval.

        Args:
            test_set: hexadecimal digest that names the examples.
            table: N,K summands (`Aggregator.table`).
            intervals: without, the ends of the interval are NaN.
        """
        size, extremes = len(table), aggregator.extremes
        others = size * extremes.ends(table.mean(axis=0)) if extremes else table[:0]
        sums = np.concatenate([self._sums(test_set, table), [table.sum(axis=0)], others])
        draws, (value, *reached) = np.split(aggregator.combine(sums), [self.draws])
        ends = aggregator.edge_interval(table) if intervals else None
        low, high = ends or (percentiles(draws) if intervals else (np.nan, np.nan))
        return Drawn(
            float(value),
            draws,
            min(low, float(value)),
            max(high, float(value)),
            at_edge=ends is not None,
            codes=(table * _weights(table.shape[1])).sum(axis=1),
            span=float(np.ptp(reached)) if reached else 0.0,
        )

    def _sums(self, test_set: str, table: np.ndarray) -> np.ndarray:
        """The sums of every draw: N,K -> draws,K."""
        key = test_set, len(table)
        if key not in self._counts:
            blocks = draw_counts(len(table), self.draws, seed=int(test_set[:16], 16))
            self._counts[key] = np.concatenate([block.astype(np.float32) for block in blocks])
        # Counts of words and errors are small whole numbers: single precision sums them exactly.
        # Threads wait for one another twenty times longer than such a small product takes.
        with _threads().limit(limits=1, user_api="blas"):
            return (self._counts[key] @ table.astype(np.float32)).astype(np.float64)


@cache
def _weights(columns: int) -> np.ndarray:
    """K weights by which equal rows have equal sums, and others hardly ever."""
    return np.random.default_rng(0).random(columns)


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


def paired_variances(
    drawn: Sequence[Drawn | None], variances: np.ndarray, test_sets: Sequence[str | None]
) -> tuple[np.ndarray, np.ndarray]:
    """The variances of `difference_variances`, enlarged where few examples tell two contenders
    apart, and the `least_p` of every pair, V,V; 0 where nothing is paired."""
    raw = [None if one is None else one.draws for one in drawn]
    result = difference_variances(raw, variances, list(test_sets))
    least, alone = np.zeros(result.shape), result.diagonal().copy()
    for name in dict.fromkeys(test_sets):
        held = {at: one for at, one in enumerate(drawn) if one and test_sets[at] == name}
        if not held:
            continue
        codes = np.stack([one.codes for one in held.values()])  # V,N
        values = np.array([one.value for one in held.values()])
        spans = np.array([one.span for one in held.values()])
        apart = np.stack([(codes != one).sum(axis=1) for one in codes])  # V,V
        own = np.ix_([*held], [*held])
        result[own] = _enlarged(
            result[own],
            apart,
            codes.shape[1],
            values[:, None] - values[None, :],
            np.maximum(spans[:, None], spans[None, :]),
        )
        least[own] = _least_p(apart)
    np.fill_diagonal(result, alone)  # nothing tells one from itself
    np.fill_diagonal(least, 0.0)
    return result, least


def few_unlike(variance: float, first: Drawn, second: Drawn) -> float:
    """The variance over examples of a paired difference, enlarged where fewer than `FEWEST_APART`
    examples tell the two apart.

    Two more examples are counted that differ as much as those do (their root mean square), one
    each way. For proportions with b and c disagreements among N answers that makes
    (b + 1 + c + 1 - (b - c)^2 / (N + 2)) / N^2 (Bonett and Price 2012). Where no example differs,
    the added ones differ by all there can be.

    Args:
        variance: of the difference, as drawn.
    """
    apart, size = examples_apart(first, second), len(first.codes)
    span = max(first.span, second.span)
    return float(_enlarged(variance, apart, size, first.value - second.value, span))


def _enlarged(variance: Any, apart: Any, size: int, difference: Any, span: Any) -> np.ndarray:
    """The formula of `few_unlike`, of one pair or of many."""
    total = size * difference
    squares = size**2 * variance + total**2 / size  # of single examples' differences
    added = np.where(np.asarray(apart) > 0, squares / np.maximum(apart, 1), span**2)
    larger = (squares + 2 * added - total**2 / (size + 2)) / size**2
    return np.where(np.asarray(apart) < FEWEST_APART, np.maximum(variance, larger), variance)


def examples_apart(first: Drawn, second: Drawn) -> int:
    """How many examples tell two contenders apart."""
    return int((first.codes != second.codes).sum())


def least_p(first: Drawn, second: Drawn) -> float:
    """The least two-sided p that the examples which tell two contenders apart can give: that of the
    sign test where all of them favour the same one."""
    return float(_least_p(examples_apart(first, second)))


def _least_p(apart: Any) -> np.ndarray:
    return np.minimum(1.0, 2.0 ** (1 - np.asarray(apart, dtype=float)))

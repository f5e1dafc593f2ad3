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

import numpy as np
from threadpoolctl import ThreadpoolController

from bench.store.result import Primary
from reports.samples import Sample
from reports.statistics.significance import interval_variance
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
    """A figure on one test set, of one trained model or the mean of several, with what is known of
    it under other examples. Without examples that is the stored interval alone.

    Attributes:
        value: on the examples as they are.
        low, high: its interval over examples.
        variance: over examples.
        test_set: names the examples; "" where none are kept. Figures are paired where it is equal.
        draws: R, the figure of every draw.
        codes: N, one number an example; two models' differ where their statistics do.
        at_edge: whether the interval was counted, not drawn (`edge_interval`).
        span: the range of the figure on these examples.
    """

    value: float
    low: float
    high: float
    variance: float
    test_set: str = ""
    draws: np.ndarray = field(default_factory=lambda: np.zeros(0))
    codes: np.ndarray = field(default_factory=lambda: np.zeros(0))
    at_edge: bool = False
    span: float = 0.0


def stored_figure(primary: Primary) -> Drawn:
    """A figure of which no examples are kept, by its stored interval."""
    low, high = primary.low, primary.high
    return Drawn(primary.value, low, high, interval_variance(low, high))


def mean_drawn(drawn: Sequence[Drawn]) -> Drawn:
    """The mean over several models. Its interval is that of the mean's draws, or where one model's
    was counted or has no draws, the mean interval: the models share their examples."""
    if len(drawn) == 1:
        return drawn[0]
    known = [(one.value, one.low, one.high, one.variance) for one in drawn]
    value, low, high, variance = np.mean(known, axis=0).tolist()
    names = [one.test_set for one in drawn]
    if not all(names):
        return Drawn(value, low, high, variance)
    draws = np.asarray(np.mean([one.draws for one in drawn], axis=0, dtype=np.float64))
    at_edge = any(one.at_edge for one in drawn)
    if not at_edge:
        low, high = percentiles(draws)
    every = [one.codes for one in drawn]
    # Models that were tested on different examples share none; each example then counts by itself,
    # and they are paired only with models that were tested likewise.
    shared = len({len(codes) for codes in every}) == 1
    codes = np.asarray(np.mean(every, axis=0)) if shared else np.concatenate(every)
    test_set = names[0] if len(set(names)) == 1 else "+".join(names)
    span = max(one.span for one in drawn)
    variance = float(np.var(draws, ddof=1))
    return Drawn(value, low, high, variance, test_set, draws, codes, at_edge, span)


@dataclass
class Resampler:
    """Draws with replacement, made once per test set and then shared.

    The draws follow from the test set's name alone, so that a report of the same results is the
    same report. Make one per frame: it holds draws x N counts for each test set it has seen.
    """

    draws: int = RESAMPLES
    _counts: dict[tuple[str, int], np.ndarray] = field(default_factory=dict)

    def measure(
        self, sample: Sample, aggregator: Aggregator, *, intervals: bool = True
    ) -> Drawn | None:
        """A figure with its draws and its interval; None where the examples do not carry it.

        Args:
            intervals: without, the ends of the interval are NaN.
        """
        table = aggregator.table(sample.statistics, sample.scores)
        if table is None:
            return None
        size, extremes = len(table), aggregator.extremes
        others = size * extremes.ends(table.mean(axis=0)) if extremes else table[:0]
        sums = np.concatenate([self._sums(sample.test_set, table), [table.sum(axis=0)], others])
        draws, (value, *reached) = np.split(aggregator.combine(sums), [self.draws])
        ends = None
        if intervals and extremes:
            ends = edge_interval(table, aggregator.combine, extremes)
        low, high = ends or (percentiles(draws) if intervals else (np.nan, np.nan))
        return Drawn(
            float(value),
            min(low, float(value)),
            max(high, float(value)),
            float(np.var(draws, ddof=1)),
            sample.test_set,
            draws,
            codes=(table * _weights(table.shape[1])).sum(axis=1),
            at_edge=ends is not None,
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


def paired_variances(drawn: Sequence[Drawn]) -> tuple[np.ndarray, np.ndarray]:
    """The variance over examples of every pair's difference, V,V, and the least two-sided p that
    the examples which tell the two apart can give, V,V: that of the sign test where all of them
    favour the same one; 0 where nothing is paired.

    Pairs on one test set are paired. Where examples are missing the two variances are added,
    which is right for independent figures and cautious for others. Two different test sets must
    not be compared: NaN.
    """
    variances = np.array([one.variance for one in drawn])
    names = np.array([one.test_set for one in drawn])
    both = (names[:, None] != "") & (names[None, :] != "")
    other = both & (names[:, None] != names[None, :])
    result = np.where(other, np.nan, variances[:, None] + variances[None, :])
    least = np.zeros(result.shape)
    for name in sorted(set(names) - {""}):
        places = np.flatnonzero(names == name).tolist()
        held = [drawn[place] for place in places]
        codes = np.stack([one.codes for one in held])  # V,N
        apart = np.stack([(codes != one).sum(axis=1) for one in codes])  # V,V
        covariance = np.atleast_2d(np.cov(np.stack([one.draws for one in held])))
        own = np.diag(covariance)
        paired = own[:, None] + own[None, :] - 2 * covariance
        floor = 1e-10 * (own[:, None] + own[None, :])  # rounding, not variance
        values, spans = (
            np.array([getattr(one, part) for one in held]) for part in ("value", "span")
        )
        enlarged = few_unlike(
            np.where(paired <= floor, 0.0, paired),
            apart,
            codes.shape[1],
            values[:, None] - values[None, :],
            np.maximum(spans[:, None], spans[None, :]),
        )
        np.fill_diagonal(enlarged, 0.0)  # nothing tells one from itself
        result[np.ix_(places, places)] = enlarged
        least[np.ix_(places, places)] = np.minimum(1.0, 2.0 ** (1 - apart.astype(float)))
    np.fill_diagonal(least, 0.0)
    return result, least


def few_unlike(
    variance: np.ndarray, apart: np.ndarray, size: int, difference: np.ndarray, span: np.ndarray
) -> np.ndarray:
    """The variances over examples of paired differences, enlarged where fewer than `FEWEST_APART`
    examples tell the two apart.

    Two more examples are counted that differ as much as those do (their root mean square), one
    each way. For proportions with b and c disagreements among N answers that makes
    (b + 1 + c + 1 - (b - c)^2 / (N + 2)) / N^2 (Bonett and Price 2012). Where no example differs,
    the added ones differ by all there can be.

    Args:
        variance: of the differences, as drawn.
        apart: how many examples tell the two apart.
        size: N.
        difference: of the two figures.
        span: the range of the figure.
    """
    total = size * difference
    squares = size**2 * variance + total**2 / size  # of single examples' differences
    added = np.where(apart > 0, squares / np.maximum(apart, 1), span**2)
    larger = (squares + 2 * added - total**2 / (size + 2)) / size**2
    return np.where(apart < FEWEST_APART, np.maximum(variance, larger), variance)

"""Bootstrap over test examples, from sufficient statistics: intervals of trials and of reports.

A corpus figure that is a function of summed per-example statistics (BLEU's counts, errors and
reference words, ...) is resampled by resampling the sums: no text is scored twice.
Percentile bootstrap (Efron and Tibshirani 1993; for BLEU: Koehn 2004).

Where all examples but a few are alike (one error among 50 answers, no error at all), the bootstrap
has nothing to draw the others from: its interval is far too narrow or has no width. There the
interval follows from that of a share, the exact one of Clopper and Pearson (1934), for the share
of examples that are unlike the others (`edge_interval`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bench.store.result import LengthBin

RESAMPLES = 1000
#: With fewer examples than this that are unlike the majority, examples are counted, not resampled.
FEWEST_UNLIKE = 10
# Weights of this many resamples x examples are held at once (8 bytes each).
BLOCK = 1_000_000

#: Sums of statistics ...,K to the figure ...
Figure = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Interval:
    """A figure on the whole test set and its interval over examples."""

    value: float
    low: float
    high: float


def ratio(sums: np.ndarray) -> np.ndarray:
    """The figure of statistics (numerator, denominator), 0 where there is nothing. ...,2 -> ...

    With a denominator of 1 in every example, it is the mean.
    """
    above, below = sums[..., 0], sums[..., 1]
    return np.divide(above, below, out=np.zeros_like(above, dtype=float), where=below > 0)


def perplexity(sums: np.ndarray) -> np.ndarray:
    """The figure of statistics (negative log-likelihood in nats, units), at most e^50.
    ...,2 -> ..."""
    return _exp(np.minimum(ratio(sums), 50.0))


# The same to the last bit for one value and for many, which numpy's own is not.
_exp = np.vectorize(math.exp, otypes=[np.float64])


@dataclass(frozen=True)
class Extremes:
    """What single examples can be, for a figure of summed statistics.

    Attributes:
        grade: N,K statistics -> N, the figure of each example by itself; examples with equal ones
            are alike.
        ends: K statistics -> 2,K, what an average example would have with the least figure there
            is, and with the largest.
    """

    grade: Callable[[np.ndarray], np.ndarray]
    ends: Callable[[np.ndarray], np.ndarray]


def rates_up_to(top: float) -> Extremes:
    """The extremes of `ratio` where an example's own ratio lies between 0 and `top`."""
    return Extremes(ratio, lambda mean: np.array([[0.0, mean[1]], [top * mean[1], mean[1]]]))


#: Right or wrong, scores from 0 to 1, errors of reference words.
FRACTIONS = rates_up_to(1.0)


def bootstrap(
    statistics: np.ndarray,
    figure: Figure,
    extremes: Extremes | None = None,
    *,
    level: float = 0.95,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Interval:
    """The figure of all examples with its interval: percentiles of resampled figures, or the
    `edge_interval` where there is one.

    Args:
        statistics: N,K sufficient statistics, one row an example.
        figure: from sums of rows R,K to R values.
        extremes: what single examples can be; by default `FRACTIONS` for a `ratio`, and unknown
            for any other figure, which is then resampled in any case.
        seed: the resamples depend on it and on N alone, so cells that share a test set share
            their resamples too.
    """
    statistics = np.asarray(statistics, dtype=np.float64)
    assert statistics.ndim == 2 and len(statistics) > 0, statistics.shape
    value = float(figure(statistics.sum(axis=0, keepdims=True))[0])
    if extremes is None and figure is ratio:
        extremes = FRACTIONS
    ends = edge_interval(statistics, figure, extremes, level) if extremes else None
    if ends is None:
        values = figure(resampled_sums(statistics, resamples=resamples, seed=seed))  # R
        ends = percentiles(values, level)
    return Interval(value, min(ends[0], value), max(ends[1], value))


def percentiles(values: np.ndarray, level: float = 0.95) -> tuple[float, float]:
    """The ends of the percentile interval of R resampled figures."""
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def edge_interval(
    statistics: np.ndarray, figure: Figure, extremes: Extremes, level: float = 0.95
) -> tuple[float, float] | None:
    """The interval where most examples are alike and fewer than `FEWEST_UNLIKE` are not; None for
    any other test set.

    The share of unlike examples has an exact interval (Clopper and Pearson 1934); the figure is
    worked out with as many of them as its ends allow. What those would be like is known from the
    few that were seen, and on the outer side from one more example, the worst or the best there
    can be. Of right and wrong answers this is the exact interval of their share itself; where all
    N examples are alike, no more than 3.7 / N of the others are different (the "rule of three").

    Args:
        statistics: N,K.
    """
    _, place, counts = np.unique(
        extremes.grade(statistics), return_inverse=True, return_counts=True
    )
    unlike = place != counts.argmax()  # N
    few, size = int(unlike.sum()), len(statistics)
    if few >= FEWEST_UNLIKE or 2 * few >= size:
        return None
    from scipy import stats  # here, since it takes most of a second

    share = stats.binomtest(few, size).proportion_ci(level, method="exact")
    usual = statistics[~unlike].mean(axis=0)  # K
    seen = statistics[unlike].sum(axis=0)  # K
    others = [(share.high, (seen + end) / (few + 1)) for end in extremes.ends(statistics.mean(0))]
    if few:
        others += [(share.low, seen / few), (share.high, seen / few)]
    sums = size * np.stack([(1 - part) * usual + part * one for part, one in others])
    values = figure(sums)
    return float(values.min()), float(values.max())


def resampled_sums(
    statistics: np.ndarray, *, resamples: int = RESAMPLES, seed: int = 0
) -> np.ndarray:
    """Sums over examples drawn with replacement: N,K -> R,K."""
    count = len(statistics)
    if resamples * count <= BLOCK:
        return _all_draws(count, resamples, seed) @ statistics  # R,N @ N,K
    blocks = draw_counts(count, resamples, seed)
    return np.concatenate([times.astype(np.float64) @ statistics for times in blocks])


# A worker scores the same test sets for many cells, each with several figures.
@lru_cache(maxsize=4)
def _all_draws(count: int, resamples: int, seed: int) -> np.ndarray:
    [times] = draw_counts(count, resamples, seed)
    return times.astype(np.float64)


def draw_counts(count: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each resample draws each of `count` examples, with replacement: blocks of R,N."""
    rng = np.random.default_rng(seed)
    rows = max(1, BLOCK // count)
    for done in range(0, resamples, rows):
        block = min(rows, resamples - done)
        drawn = rng.integers(0, count, size=(block, count))  # R,N
        drawn += np.arange(block)[:, None] * count
        yield np.bincount(drawn.ravel(), minlength=block * count).reshape(block, count)


def by_length(
    subset: str,
    lengths: np.ndarray,
    statistics: np.ndarray,
    figure: Figure,
    *,
    bins: int = 6,
) -> list[LengthBin]:
    """The figure over examples of similar source length.

    Bins hold about equally many examples, never share a length, and depend on the lengths alone:
    cells with the same test set have the same bins.
    """
    lengths = np.asarray(lengths)
    if len(lengths) == 0:
        return []
    highs = np.unique(np.quantile(lengths, np.linspace(0, 1, bins + 1)[1:], method="higher"))
    place = np.searchsorted(highs, lengths)  # N: the first bin whose upper end is not below
    sums = np.zeros((len(highs), statistics.shape[1]))
    np.add.at(sums, place, statistics)
    values = figure(sums)
    counts = np.bincount(place, minlength=len(highs))
    lows = [int(lengths.min()), *(int(high) + 1 for high in highs[:-1])]
    return [
        LengthBin(subset=subset, low=low, high=int(high), examples=int(n), value=float(value))
        for low, high, n, value in zip(lows, highs, counts, values, strict=True)
    ]

"""Intervals, tests of differences, and tie groups.

A figure varies for two reasons: other test examples, and another seed. The first is measured by
the bootstrap over examples (`bootstrap`), the second by the spread over seeds. Two or three
seeds say little about their own spread, and resampling them says even less: a bootstrap over two
seeds finds half of their variance, and in simulations without any true difference it claims one
in a quarter of all comparisons. The spread is therefore estimated for all contenders of a table
together, as Smyth does for many small groups (2004, "Linear models and empirical Bayes
methods"), and differences are judged against the t distribution with the degrees of freedom that
remain (Welch 1947, Satterthwaite 1946).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from scipy import optimize, special, stats

from reports.samples import Sample

Basis = Literal["seeds and examples", "examples", "seeds", "none"]
Figures = np.ndarray | float
LEVEL = 0.95


#: Fewer contenders with several seeds than this say too little about a common spread.
ENOUGH = 4


@dataclass(frozen=True)
class SeedVariance:
    """Variance over seeds of V contenders.

    Attributes:
        variance: V; NaN where nothing is known (a single seed, and too few others to learn from).
        freedom: V degrees of freedom of each variance.
        total: degrees of freedom of all seeds together, the most that any comparison has.
    """

    variance: np.ndarray
    freedom: np.ndarray
    total: float


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds with its interval, and what the interval covers."""

    value: float
    low: float | None
    high: float | None
    seeds: int
    examples: int
    basis: Basis


@dataclass(frozen=True)
class DifferenceEstimate:
    """A difference with its 95 % interval and its two-sided p."""

    value: float
    low: float
    high: float
    p: float


def moderated_variance(values: Sequence[Sequence[float]]) -> SeedVariance:
    """Estimate the variance over seeds from all contenders together (Smyth 2004, section 6.2).

    Args:
        values: per contender, its figure by seed.

    A contender never counts as steadier than its own seeds show: Smyth's variance is used where
    it is the larger one. That costs some power and keeps the claim honest where contenders
    differ much in how steady they are.
    """
    freedom = np.array([max(len(each) - 1, 0) for each in values], dtype=float)
    own = np.array([np.var(each, ddof=1) if len(each) > 1 else np.nan for each in values])
    known, total = freedom > 0, float(freedom.sum())
    if known.sum() < ENOUGH:
        return SeedVariance(own, freedom, total)
    prior, prior_freedom = _prior(own[known], freedom[known])
    if np.isinf(prior_freedom):
        moderated = np.full_like(own, prior)
    else:
        weighted = prior_freedom * prior + freedom * np.where(known, own, 0.0)
        moderated = weighted / (prior_freedom + freedom)
    return SeedVariance(np.fmax(own, moderated), np.minimum(freedom + prior_freedom, total), total)


def _prior(own: np.ndarray, freedom: np.ndarray) -> tuple[float, float]:
    """Return the common variance and its degrees of freedom, by moments of the log variances."""
    if not (own > 0).any():
        return 0.0, np.inf
    # Equal figures by chance would make the logarithm infinite.
    floored = np.maximum(own, 1e-5 * np.median(own[own > 0]))
    half = freedom / 2
    logs = np.log(floored) - special.digamma(half) + np.log(half)
    excess = np.var(logs, ddof=1) - special.polygamma(1, half).mean()
    if excess <= 0:
        return float(np.average(own, weights=freedom)), np.inf
    prior_half = _inverse_trigamma(float(excess))
    prior = np.exp(logs.mean() + special.digamma(prior_half) - np.log(prior_half))
    return float(prior), 2 * prior_half


def _inverse_trigamma(value: float) -> float:
    """Solve trigamma(x) = value, from 1 / x < trigamma(x) < 1 / x + 1 / x^2."""
    ends = 1 / value, (1 + np.sqrt(1 + 4 * value)) / (2 * value)
    return float(optimize.brentq(lambda x: special.polygamma(1, x) - value, *ends, xtol=1e-12))


def interval(
    value: float,
    *,
    example_variance: float,
    seed_variance: float,
    seeds: int,
    freedom: float,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> tuple[float, float]:
    """Return the 95 % interval of a mean over seeds, for other seeds and other examples of the
    same kind."""
    over_seeds = seed_variance / seeds
    total = over_seeds + example_variance
    if total <= 0:
        return value, value
    quantile = float(stats.t.ppf((1 + LEVEL) / 2, _freedom(over_seeds, freedom, total)))
    reach = quantile * np.sqrt(total)
    return float(max(bounds[0], value - reach)), float(min(bounds[1], value + reach))


def edge_interval(
    value: float,
    low: float,
    high: float,
    *,
    seed_variance: float,
    seeds: int,
    freedom: float,
    bounds: tuple[float, float] = (-np.inf, np.inf),
) -> tuple[float, float]:
    """Return the 95 % interval of a mean over seeds near the end of a figure's range, where the
    interval over examples is not symmetric.

    Both parts of each arm are added as the roots of their squares (Zou and Donner 2008, "method of
    variance estimates recovery").

    Args:
        low, high: the interval over examples.
    """
    reach = float(stats.t.ppf((1 + LEVEL) / 2, freedom)) * np.sqrt(seed_variance / seeds)
    ends = value - np.hypot(value - low, reach), value + np.hypot(high - value, reach)
    return float(max(bounds[0], ends[0])), float(min(bounds[1], ends[1]))


def interval_variance(low: float, high: float) -> float:
    """Return the variance of a figure from its symmetric 95 % interval, which is 3.92 standard
    errors wide."""
    return ((high - low) / 3.92) ** 2


def difference_estimate(
    value: float, *, example_variance: float, seed_variance: float, seeds: int, freedom: float
) -> DifferenceEstimate:
    """Return one paired difference, a mean over seeds, with interval and p. An unknown (NaN)
    variance over seeds is left out of both."""
    known = 0.0 if np.isnan(seed_variance) else seed_variance
    low, high = interval(
        value,
        example_variance=example_variance,
        seed_variance=known,
        seeds=seeds,
        freedom=freedom,
    )
    total = known / seeds + example_variance
    p = two_sided_p(value, np.sqrt(total), _freedom(known / seeds, freedom, total))
    return DifferenceEstimate(value, low, high, float(p))


@dataclass(frozen=True)
class PairwiseDifferences:
    """The differences of all pairs of V figures, and what they vary by.

    Attributes:
        values: V.
        variance: V,V, of every difference; NaN where two must not be compared.
        freedom: V,V, its degrees of freedom.
        least_p: V,V, the least p that there can be.
    """

    values: np.ndarray
    variance: np.ndarray
    freedom: np.ndarray
    least_p: np.ndarray

    @cached_property
    def p(self) -> np.ndarray:
        """V,V two-sided p of every difference; NaN where two must not be compared."""
        apart = self.values[:, None] - self.values[None, :]
        return np.maximum(two_sided_p(apart, np.sqrt(self.variance), self.freedom), self.least_p)

    @cached_property
    def adjusted(self) -> np.ndarray:
        """V,V p after Holm over all pairs."""
        return holm_pairs(self.p)

    @property
    def detectable(self) -> float | None:
        """The smallest true difference of two that is found with 80 % power; None where no two can
        be compared."""
        upper = np.triu_indices(len(self.values), k=1)
        known = ~np.isnan(self.variance[upper])
        if not known.any():
            return None
        return detectable_difference(
            float(np.sqrt(np.median(self.variance[upper][known]))),
            float(np.median(self.freedom[upper][known])),
            comparisons=int(known.sum()),
        )


def pairwise_differences(
    values: np.ndarray,
    over_examples: np.ndarray,
    spread: SeedVariance,
    seeds: np.ndarray,
    least_p: np.ndarray | None = None,
) -> PairwiseDifferences:
    """The differences of V means over seeds.

    Args:
        over_examples: V,V variance of each difference over examples, NaN for different test sets.
        spread: variance over seeds; where it is unknown, examples alone decide.
        seeds: V, how many seeds each mean has.
    """
    mean = np.nan_to_num(spread.variance, nan=0.0) / np.maximum(seeds, 1)  # V
    both = mean[:, None] + mean[None, :]
    parts = mean**2 / np.maximum(spread.freedom, 1e-9)
    variance = over_examples + both
    with np.errstate(divide="ignore", invalid="ignore"):
        welch = variance**2 / (parts[:, None] + parts[None, :])
        most = spread.total * (variance / both) ** 2
    freedom = np.nan_to_num(np.minimum(welch, most), nan=1e9, posinf=1e9)
    least = np.zeros(variance.shape) if least_p is None else least_p
    return PairwiseDifferences(values, variance, np.clip(freedom, 1e-9, 1e9), least)


def two_sided_p(difference: Figures, error: Figures, freedom: Figures) -> np.ndarray:
    """Return the two-sided p of differences by Student's t. Without any variance equal figures are
    equal, and others surely differ.

    Args:
        error: standard errors; where one is NaN, p is.
        freedom: degrees of freedom.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stats.t.sf(np.abs(difference) / error, freedom)
    equal = np.isclose(difference, 0.0, rtol=0, atol=1e-12)
    return np.where(error <= 0, np.where(equal, 1.0, 0.0), p)


def holm(p: np.ndarray) -> np.ndarray:
    """Adjust a flat array of p values by Holm's method (1979); NaN stays NaN and is not counted."""
    adjusted = np.full(p.shape, np.nan)
    valid = np.flatnonzero(~np.isnan(p))
    order = valid[np.argsort(p[valid], kind="stable")]
    factors = len(order) - np.arange(len(order))
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * factors))
    return adjusted


def holm_pairs(p: np.ndarray) -> np.ndarray:
    """Adjust all pairs of a symmetric V,V matrix by Holm's method.

    All pairs count, not only those with the best: which one is best was learnt from the same
    figures, and comparing with the luckiest of many would find differences that are none.
    """
    upper = np.triu_indices(len(p), k=1)
    adjusted = np.full(p.shape, np.nan)
    adjusted[upper] = holm(p[upper])
    return np.where(np.isnan(adjusted), adjusted.T, adjusted)


def tie_groups(
    values: np.ndarray, adjusted: np.ndarray, *, higher_is_better: bool
) -> list[int | None]:
    """Group contenders: group 1 holds the best and those not significantly worse, group 2 the best
    of the rest and those not significantly worse than it, and so on.

    None where a value is NaN or cannot be compared with a group's best.
    """
    groups: list[int | None] = [None] * len(values)
    order = np.argsort(-values if higher_is_better else values, kind="stable")
    left = [int(index) for index in order if not np.isnan(values[index])]
    group = 0
    while left:
        group += 1
        best, rest = left[0], []
        groups[best] = group
        for index in left[1:]:
            if np.isnan(adjusted[best, index]):
                continue
            if adjusted[best, index] >= 1 - LEVEL:
                groups[index] = group
            else:
                rest.append(index)
        left = rest
    return groups


def detectable_difference(standard_error: float, freedom: float, *, comparisons: int = 1) -> float:
    """Return the smallest true difference found with 80 % power at the 5 % level.

    Args:
        standard_error: of the difference of two means over seeds.
        freedom: degrees of freedom of that standard error.
        comparisons: how many the level is shared by (Holm's first step).
    """
    alpha = (1 - LEVEL) / comparisons
    bounded = min(freedom, 1e9)
    return float(standard_error * (stats.t.isf(alpha / 2, bounded) + stats.t.ppf(0.8, bounded)))


def _freedom(over_seeds: float, freedom: float, total: float) -> float:
    """Return Satterthwaite's degrees of freedom of a total variance, at most 1e9; those of its
    part over examples count as infinite."""
    part = over_seeds**2 / max(freedom, 1e-9)
    return min(total**2 / part, 1e9) if part > 0 else 1e9


@dataclass(frozen=True)
class McNemarTests:
    """McNemar's tests of all pairs of V contenders.

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
class CorrectExamples:
    """The examples of a test set that a contender classifies correctly: N booleans."""

    test_set: str
    right: np.ndarray


def correct_examples(sample: Sample) -> CorrectExamples | None:
    """Return the correct examples of a sample with statistics (0 or 1, 1); None for any other."""
    if sample.statistics.shape[1:] != (2,) or not (sample.statistics[:, 1] == 1).all():
        return None
    right = sample.statistics[:, 0]
    return CorrectExamples(sample.test_set, right > 0) if np.isin(right, (0, 1)).all() else None


def mcnemar_tests(found: Sequence[CorrectExamples | None]) -> McNemarTests:
    """Test all pairs of contenders with McNemar's exact test (1947). One seed each, since the
    test compares two sets of predictions."""
    size = len(found)
    only = np.full((size, size), np.nan)
    for test_set in {one.test_set for one in found if one}:
        places = [place for place, one in enumerate(found) if one and one.test_set == test_set]
        right = np.stack([one.right for one in found if one and one.test_set == test_set])
        counts = right.astype(np.float64) @ (~right).astype(np.float64).T  # V,N @ N,V
        only[np.ix_(places, places)] = counts
    p = mcnemar_p(only, only.T)
    np.fill_diagonal(p, np.nan)
    return McNemarTests(only, p, holm_pairs(p))


def mcnemar_p(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the exact two-sided p of a split at least as uneven, if either side of every
    disagreement were equally likely (binomial, one half); 1 without disagreements."""
    fewer, every = np.fmin(first, second), first + second
    p = np.minimum(1.0, 2 * stats.binom.cdf(fewer, every, 0.5))
    return np.where(every == 0, 1.0, p)

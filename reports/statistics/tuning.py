"""Statistics of a search for hyperparameters: the expected best of n candidates, and sensitivity.

Losses are on validation data; less is better. A candidate that failed has none and counts as no
better than the worst that finished. One that was stopped early counts with its loss at that step,
which training on would mostly have lowered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from bench.store.cell import Scalar

#: Losses within this share of the best count as near it.
NEAR = 0.05

#: Numbers with fewer different values are taken for choices.
_FEWEST_NUMBERS = 4
_RESAMPLES = 1000
#: An influence is told where chance alone gives one as large this rarely, over all settings.
_LEVEL = 0.05


def expected_best(losses: Sequence[float]) -> np.ndarray:
    """Expected lowest loss of n candidates drawn without replacement from the N seen, n = 1..N.

    Dodge et al. 2019 draw with replacement (their equation 3), which for n near N expects too
    little of a search; without, each value is an unbiased estimate for a search of n random
    candidates (Tang et al. 2020). The i-th lowest of N is the lowest of n with the probability
    C(N - i, n - 1) / C(N, n).
    """
    return _weights(len(losses)) @ np.sort(np.asarray(losses, dtype=float))


def expected_best_band(losses: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """Bootstrap band (95 %) of `expected_best`, point by point: other candidates might have been
    drawn."""
    rng = np.random.default_rng(0)
    drawn = rng.choice(np.asarray(losses, dtype=float), (_RESAMPLES, len(losses)))
    curves = np.sort(drawn, axis=1) @ _weights(len(losses)).T
    low, high = np.percentile(curves, [2.5, 97.5], axis=0)
    return low, high


def _weights(count: int) -> np.ndarray:
    """N,N: probability that the i-th lowest of N (columns) is the lowest of n (rows): none of the
    i - 1 lower ones is drawn, and then it is the one of the others that is."""
    n, i = np.arange(1, count + 1)[:, None], np.arange(1, count + 1)[None, :]
    found: np.ndarray = stats.hypergeom.pmf(0, count, i - 1, n) * n / (count - i + 1)
    return found


def best_so_far(losses: Sequence[float]) -> np.ndarray:
    """Lowest loss of the first n candidates, n = 1..N: for searchers that learn from candidates,
    whose draws cannot be exchanged."""
    return np.minimum.accumulate(np.asarray(losses, dtype=float))


@dataclass(frozen=True)
class Influence:
    """How much of the candidates' losses a setting explains alone.

    Attributes:
        share: of the variance of the ranks of the losses, adjusted for the degrees of freedom
            (below 0 where it explains less than chance mostly does).
        p: how often chance alone explains as much (F test).
    """

    setting: str
    share: float
    p: float


@dataclass(frozen=True)
class Sensitivity:
    """How much the result of a mechanism depends on its settings.

    Attributes:
        gap: median minus lowest loss.
        near: share of the candidates, failed ones too, with a loss within `NEAR` of the lowest.
        influence: of the setting that explains most; None where no setting explains more than
            chance does, or candidates are too few to tell.
    """

    gap: float
    near: float
    influence: Influence | None


def sensitivity(
    settings: Sequence[Mapping[str, Scalar]], losses: Sequence[float | None]
) -> Sensitivity:
    """The sensitivity of a mechanism.

    Args:
        settings: of its candidates.
        losses: of the same; None for those that failed. One at least is known.
    """
    known = [loss for loss in losses if loss is not None]
    best = min(known)
    near = sum(loss - best <= NEAR * abs(best) for loss in known)
    found = influences(settings, filled(losses))
    strongest = max(found, key=lambda one: one.share, default=None)
    told = strongest is not None and strongest.p <= _LEVEL / len(found)
    return Sensitivity(
        gap=float(np.median(filled(losses))) - best,
        near=near / len(losses),
        influence=strongest if told else None,
    )


def filled(losses: Sequence[float | None]) -> list[float]:
    """The losses with the highest known one in place of those that failed."""
    worst = max((loss for loss in losses if loss is not None), default=0.0)
    return [worst if loss is None else loss for loss in losses]


def influences(
    settings: Sequence[Mapping[str, Scalar]], losses: Sequence[float]
) -> list[Influence]:
    """The influence of every setting that can be told.

    Numbers explain by a quadratic in their rank, so that an optimum in the middle counts; choices
    by the means of their groups.
    """
    ranks = stats.rankdata(losses)
    total = float(((ranks - ranks.mean()) ** 2).sum())
    found = []
    for name in settings[0] if settings else ():
        design = _design([one[name] for one in settings])
        freedom, left = design.shape[1] - 1, len(ranks) - design.shape[1]
        if total == 0 or freedom < 1 or left < 3:
            continue
        fitted = design @ np.linalg.lstsq(design, ranks, rcond=None)[0]
        share = 1 - float(((ranks - fitted) ** 2).sum()) / total
        adjusted = 1 - (1 - share) * (len(ranks) - 1) / left
        ratio = share / freedom / max((1 - share) / left, 1e-12)
        found.append(Influence(name, adjusted, float(stats.f.sf(ratio, freedom, left))))
    return found


def _design(values: Sequence[Scalar]) -> np.ndarray:
    """N,1+k: a constant, and what explains."""
    numbers = [one for one in values if isinstance(one, int | float) and not isinstance(one, bool)]
    if len(numbers) == len(values) and len(set(numbers)) >= _FEWEST_NUMBERS:
        place = stats.rankdata(numbers)
        place = (place - place.mean()) / place.std()
        return np.stack([np.ones_like(place), place, place**2], axis=1)
    groups = list(dict.fromkeys(values))
    rows = [[1.0, *(float(one == group) for group in groups[1:])] for one in values]
    return np.array(rows)

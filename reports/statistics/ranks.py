"""Mean ranks over settings and their critical difference (Demšar 2006, sections 3.2.2 to 3.2.4).

Figures of different tasks cannot be averaged; ranks can. Only mechanisms that finished in every
setting are ranked, so that nobody gains from a task that was left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports.load import BenchmarkSetting
from reports.statistics.analysis import Analysis

#: Fewer settings or mechanisms than this are not worth a diagram.
FEWEST_SETTINGS, FEWEST_NAMES = 3, 3


@dataclass(frozen=True)
class MeanRanks:
    """Mean ranks of K mechanisms over N settings, the best first.

    Attributes:
        names: K.
        means: K, 1 is the best.
        settings: N.
        left_out: how many mechanisms did not finish everywhere.
        p: of Friedman's test that all are alike, in the form of Iman and Davenport (1980).
        critical: ranks that differ by less cannot be told apart (Nemenyi's test, 5 %).
    """

    names: tuple[str, ...]
    means: tuple[float, ...]
    settings: tuple[BenchmarkSetting, ...]
    left_out: int
    p: float
    critical: float

    @property
    def cliques(self) -> list[tuple[int, int]]:
        """First and last place of every maximal run of mechanisms within one critical
        difference; runs of a single mechanism are left out."""
        found: list[tuple[int, int]] = []
        for first in range(len(self.means)):
            last = max(
                place
                for place in range(first, len(self.means))
                if self.means[place] - self.means[first] <= self.critical
            )
            if last > first and (not found or last > found[-1][1]):
                found.append((first, last))
        return found


def mean_ranks(analyses: Sequence[Analysis]) -> MeanRanks | None:
    """Rank mechanisms over the settings of the budget with the most settings; None where too
    little was run."""
    by_budget: dict[str, list[Analysis]] = defaultdict(list)
    for analysis in analyses:
        if any(analysis.main.estimates):
            by_budget[analysis.frame.setting.budget].append(analysis)
    chosen = max(by_budget.values(), key=len, default=[])
    if len(chosen) < FEWEST_SETTINGS:
        return None
    figures = [_figures(analysis) for analysis in chosen]
    everyone = dict.fromkeys(name for own in figures for name in own)
    names = [name for name in everyone if all(name in own for own in figures)]
    if len(names) < FEWEST_NAMES:
        return None
    table = np.array([[own[name] for name in names] for own in figures])  # N,K, less is better
    ranks = stats.rankdata(table, axis=1)
    means = ranks.mean(axis=0)
    order = np.argsort(means, kind="stable")
    return MeanRanks(
        tuple(names[place] for place in order),
        tuple(float(means[place]) for place in order),
        tuple(analysis.frame.setting for analysis in chosen),
        len(everyone) - len(names),
        friedman_p(ranks),
        critical_difference(len(names), len(chosen)),
    )


def friedman_p(ranks: np.ndarray) -> float:
    """Return p of the hypothesis that K mechanisms are alike, from their ranks N,K: Friedman's
    statistic in the less conservative form of Iman and Davenport (Demšar 2006, section 3.2.2)."""
    settings, names = ranks.shape
    means = ranks.mean(axis=0)
    squared = 12 * settings / (names * (names + 1)) * ((means - (names + 1) / 2) ** 2).sum()
    most = settings * (names - 1)
    if squared >= most - 1e-9:  # all settings agree wholly
        return 0.0
    ratio = (settings - 1) * squared / (most - squared)
    return float(stats.f.sf(ratio, names - 1, (names - 1) * (settings - 1)))


def critical_difference(names: int, settings: int, alpha: float = 0.05) -> float:
    """Return the smallest significant difference of two mean ranks (Nemenyi 1963; Demšar 2006,
    section 3.2.2)."""
    q = stats.studentized_range.ppf(1 - alpha, names, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(names * (names + 1) / (6 * settings)))


def _figures(analysis: Analysis) -> dict[str, float]:
    """Return the main metric by mechanism, negated where higher is better."""
    return {
        contender.name: -analysis.frame.sign * estimate.value
        for contender, estimate in zip(
            analysis.frame.contenders, analysis.main.estimates, strict=True
        )
        if estimate is not None
    }

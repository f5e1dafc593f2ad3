"""Ranks: between which places of a table a mechanism may stand, and mean ranks over settings.

A rank says nothing of how sure it is. Mogstad, Romano, Shaikh and Wilhelm (2023, "Inference for
ranks") take it from the tests of all pairs: whoever is surely better than j stands before it,
whoever is surely worse after it, and every other place is possible. As the tests hold for all pairs
at once (Holm), the intervals hold all true ranks of a setting at once in 95 of 100 reports.
Mechanisms that are truly equal share the places that they take up.

Figures of different tasks cannot be averaged; ranks can (Demšar 2006, sections 3.2.2 to 3.2.4).
Only mechanisms that finished in every setting are ranked, so that nobody gains from a task that
was left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
import pandas as pd
from scipy import stats

from reports.load import BenchmarkSetting
from reports.statistics.significance import LEVEL


def ranks(pairs: pd.DataFrame) -> pd.DataFrame:
    """Return the intervals of ranks, best rank first.

    Args:
        pairs: what `reports.statistics.pairs.pairs` returns; `first` is the better figure.

    Returns one row a mechanism of a setting:

        setting, contender
        rank        by its figure, 1 is the best; equal figures share the mean
        low, high   interval of its true rank, simultaneous over the setting
        over_seeds  whether it holds for other seeds; without, only for other examples
    """
    parts = []
    for setting, own in pairs.groupby("setting", sort=False):
        codes, names = pd.factorize(np.concatenate([own["first"], own["second"]]))
        sure, equal = (own["p_holm"] < 1 - LEVEL).to_numpy(), (own["difference"] == 0).to_numpy()
        lone = ~own["over_seeds"].to_numpy(bool)
        # How often each is the better or the worse one of some pairs.
        better, worse = (partial(_counts, side, len(names)) for side in codes.reshape(2, -1))

        columns = {
            "contender": names,
            "rank": 1 + worse(~equal) + (better(equal) + worse(equal)) / 2,
            "low": 1 + worse(sure),
            "high": len(names) - better(sure),
            "over_seeds": better(lone) + worse(lone) == 0,
        }
        parts.append(pd.DataFrame({"setting": setting, **columns}))
    empty = pd.DataFrame(columns=["setting", "contender", "rank", "low", "high", "over_seeds"])
    found = pd.concat(parts) if parts else empty
    return found.sort_values(["setting", "rank"], kind="stable", ignore_index=True)


def _counts(codes: np.ndarray, size: int, chosen: np.ndarray) -> np.ndarray:
    return np.bincount(codes[chosen], minlength=size)


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


def mean_ranks(measured: Mapping[BenchmarkSetting, Mapping[str, float]]) -> MeanRanks | None:
    """Rank mechanisms over the settings of the budget with the most settings; None where too
    little was run. A setting that was run on several data counts once, with those on which most
    mechanisms have finished.

    Args:
        measured: by setting, the main metric by mechanism, negated where higher is better.
    """
    by_budget: dict[str, list[BenchmarkSetting]] = defaultdict(list)
    fullest: dict[BenchmarkSetting, BenchmarkSetting] = {}
    for setting in sorted(measured, key=lambda one: -len(measured[one])):
        fullest.setdefault(setting.on_any_data, setting)
    for setting, figures in measured.items():
        if figures and fullest[setting.on_any_data] == setting:
            by_budget[setting.budget].append(setting)
    chosen = max(by_budget.values(), key=len, default=[])
    if len(chosen) < FEWEST_SETTINGS:
        return None
    every = [measured[setting] for setting in chosen]
    everyone = dict.fromkeys(name for own in every for name in own)
    names = [name for name in everyone if all(name in own for own in every)]
    if len(names) < FEWEST_NAMES:
        return None
    table = np.array([[own[name] for name in names] for own in every])  # N,K, less is better
    ranked = stats.rankdata(table, axis=1)
    means = ranked.mean(axis=0)
    order = np.argsort(means, kind="stable")
    return MeanRanks(
        tuple(names[place] for place in order),
        tuple(float(means[place]) for place in order),
        tuple(chosen),
        len(everyone) - len(names),
        friedman_p(ranked),
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


def critical_difference(names: int, settings: int) -> float:
    """Return the smallest significant difference of two mean ranks (Nemenyi 1963; Demšar 2006,
    section 3.2.2)."""
    q = stats.studentized_range.ppf(LEVEL, names, np.inf) / np.sqrt(2)
    return float(q * np.sqrt(names * (names + 1) / (6 * settings)))

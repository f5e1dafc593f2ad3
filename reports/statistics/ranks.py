"""Mean ranks over settings, and how far apart they must be (Demšar 2006, sections 3.2.2 to 3.2.4).

Figures of different tasks cannot be averaged; ranks can. Only mechanisms that finished in every
setting are ranked, so that nobody gains from a task that was left out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from reports import formats
from reports.load import BenchmarkSetting
from reports.statistics.analysis import Analysis, SubsetEstimates
from reports.statistics.significance import Estimate

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


# What stands beside tie groups: how small a difference can be found, and how wide group 1 is.
#
# With few seeds a group can hold what lies far apart. A reader must see that this is for want of
# evidence, and no claim that its members are equal.


def detectable_note(scores: SubsetEstimates, metric: str) -> list[str]:
    """Note the minimum detectable difference under a table; empty for a single figure."""
    if scores.detectable is None:
        return []
    pairs = int(np.isfinite(scores.adjusted[np.triu_indices(len(scores.adjusted), k=1)]).sum())
    over = f" (Holm's correction over {pairs} pairs)" if pairs > 1 else ""
    return [
        f"With {seeds_text(scores)}, a true difference of {_gap(scores.detectable, metric)} on "
        f"“{scores.subset}” is found four times out of five{over}; smaller ones are easily missed."
    ]


def group_notes(analysis: Analysis, names: Sequence[str]) -> list[str]:
    """Note the minimum detectable difference of the main metric, and the spread within group 1.

    Args:
        names: of the frame's contenders.
    """
    notes = detectable_note(analysis.main, analysis.frame.main_metric)
    if notes and len(analysis.main.best()) > 1:
        notes.append(" ".join(_width(analysis, names)))
    return notes


def seeds_text(*several: SubsetEstimates) -> str:
    """Format the number of seeds: `3 seeds`, or `2 to 3 seeds` where some contenders have fewer."""
    seeds = {one.seeds for scores in several for one in scores.estimates if one is not None}
    least = f"{min(seeds)} to " if len(seeds) > 1 else ""
    return f"{least}{formats.plural(max(seeds), 'seed')}"


def _width(analysis: Analysis, names: Sequence[str]) -> Iterator[str]:
    scores = analysis.main
    known = {place: one for place in analysis.order if (one := scores.estimates[place]) is not None}
    members = [place for place in known if scores.groups[place] == 1]
    best, worst = members[0], members[-1]
    span = abs(known[best].value - known[worst].value)
    gap = _gap(span, analysis.frame.main_metric)
    yield f"Sharing a group is not being equal: group 1 spans {gap}."
    for place in known:
        if place == worst:
            return
        # Steadier over seeds, so told apart by a smaller difference.
        if scores.groups[place] != 1 and _reach(known[place]) < _reach(known[worst]):
            yield (
                f"{names[worst]} is in it although {names[place]} did better and is not: "
                "its interval is wider."
            )
            return


def _reach(one: Estimate) -> float:
    return 0.0 if one.low is None or one.high is None else one.high - one.low


def _gap(difference: float, metric: str) -> str:
    if formats.is_fraction(metric):
        return f"{formats.number(100 * difference, 1)} percentage points"
    return formats.metric_text(difference, metric)

"""Simple baselines (no attention, or no learning) and how mechanisms stand against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from bench.store.result import Result
from reports.metrics import CEILINGS, MetricName, parse_metric_names
from reports.statistics.analysis import Analysis
from reports.statistics.significance import Estimate
from reports.tables import Entry, Missing, metric_number

ControlVerdict = Literal["better", "worse", "not told apart"]


@dataclass(frozen=True)
class Baseline:
    """A simple baseline and its figures.

    Attributes:
        name: `majority`.
        figures: by test set ("" for the first) and metric; the same for all trials, so means
            of what they recorded.
        ceiling: whether it is what people or the references reach, which nobody has to pass.
    """

    name: str
    figures: dict[tuple[str, str], float]
    ceiling: bool = False

    def main_figure(self, analysis: Analysis) -> float | None:
        """Value of the main metric, None where it was not measured."""
        return self.figures.get(("", analysis.frame.main_metric))

    def entry(self, metric: str, subset: str = "") -> Entry:
        """Return a figure as a table entry."""
        value = self.figures.get((subset, metric))
        if value is None:
            return Missing("not measured")
        return metric_number(value, metric)


def metric_names(analysis: Analysis) -> list[MetricName]:
    """Return the names of a frame's metrics, the main metric first."""
    frame = analysis.frame
    keys = [name for result in frame.done for name in result.metrics]
    keys.sort(key=lambda name: name != frame.main_metric)
    return parse_metric_names(keys, [one.subset for one in analysis.subsets[1:]], frame.main_metric)


def baselines(analysis: Analysis) -> tuple[Baseline, ...]:
    """Return the baselines of a frame, best main metric first, ceilings and those without a main
    metric last."""
    found: dict[str, dict[tuple[str, str], float]] = {}
    for one in metric_names(analysis):
        if one.kind == "baseline":
            mean = _mean(analysis.frame.done, one.key)
            found.setdefault(one.baseline, {})[one.subset, one.figure] = mean
    every = [Baseline(name, figures, name in CEILINGS) for name, figures in found.items()]

    def merit(one: Baseline) -> tuple[bool, bool, float]:
        value = one.main_figure(analysis)
        return one.ceiling, value is None, -analysis.frame.sign * (value or 0.0)

    return tuple(sorted(every, key=merit))


def best_baseline(analysis: Analysis) -> Baseline | None:
    """Return the baseline with the best main metric; None where none has one."""
    found = baselines(analysis)
    first = found[0] if found else None
    usable = first is not None and not first.ceiling and first.main_figure(analysis) is not None
    return first if usable else None


def against_baseline(
    estimate: Estimate, baseline: float, *, higher_is_better: bool
) -> ControlVerdict:
    """Judge an estimate against a baseline: its whole interval must lie beyond the baseline's
    figure, which is taken as exact (same test examples, nothing trained by chance)."""
    if estimate.low is None or estimate.high is None:
        return "not told apart"
    if estimate.low > baseline:
        return "better" if higher_is_better else "worse"
    if estimate.high < baseline:
        return "worse" if higher_is_better else "better"
    return "not told apart"


def against_best_baseline(analysis: Analysis) -> list[ControlVerdict | None]:
    """Judge each contender against the best baseline; None where there is nothing to compare."""
    baseline = best_baseline(analysis)
    value = baseline.main_figure(analysis) if baseline else None
    if value is None:
        return [None] * len(analysis.frame.contenders)
    return [
        None
        if one is None
        else against_baseline(one, value, higher_is_better=analysis.frame.higher_is_better)
        for one in analysis.main.estimates
    ]


def _mean(results: Sequence[Result], key: str) -> float:
    values = [result.metrics[key] for result in results if key in result.metrics]
    return sum(values) / len(values)

"""Simple baselines and how mechanisms stand against them; model selection on validation data.

Records keep figures in one flat mapping. Their names begin with that of the test set, for all but
the first (`long_rouge_l`); baselines are `baseline_<what>_<figure>`, or `baseline_<what>` for the
main metric; ends of intervals add `_low` and `_high` to their figure.

The contender that represents an attention with several scores or options is the one with the best
validation figure, never the one that did best on the test set: the larger of several test figures
is too large by what luck gave it (Cawley and Talbot 2010).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from bench.store.result import Result
from reports.load import Frame
from reports.statistics import Analysis
from reports.statistics.significance import Estimate
from reports.tables import Entry, mean_known, measured_metric

Kind = Literal["figure", "bound", "baseline", "confusion"]

#: By what metrics begin with: weights that know nothing (speech measures their distances too), and
#: what is true of the references themselves.
_BY_PREFIX = {
    "uniform": "uniform weights",
    "diagonal": "diagonal weights",
    "centre": "centre weights",
    "reference": "references",
}
#: Baselines that no model is meant to pass: people, and the references.
CEILINGS = frozenset({"human", "references"})

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
        return measured_metric(self.figures.get((subset, metric)), metric)


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
    first = next(iter(baselines(analysis)), None)
    usable = first is not None and not first.ceiling and first.main_figure(analysis) is not None
    return first if usable else None


def against_baseline(
    estimate: Estimate, baseline: float, *, higher_is_better: bool
) -> ControlVerdict:
    """Judge an estimate against a baseline: its whole interval must lie beyond the baseline's
    figure, which is taken as exact (same test examples, nothing trained by chance)."""
    if estimate.low is None or estimate.high is None:
        return "not told apart"
    if not (estimate.low > baseline or estimate.high < baseline):
        return "not told apart"
    return "better" if (estimate.low > baseline) == higher_is_better else "worse"


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


@dataclass(frozen=True)
class MetricName:
    """A metric's name split into test set, baseline and figure.

    Attributes:
        key: the whole name.
        subset: the test set's name, "" for the first.
        figure: what is measured, `accuracy`.
        baseline: whose figure it is, `hypothesis only`; "" for the model's own.
    """

    key: str
    subset: str
    kind: Kind
    figure: str
    baseline: str = ""


def parse_metric_names(
    keys: Iterable[str], subsets: Sequence[str], main_metric: str
) -> list[MetricName]:
    """Split metric names into their parts, in their order.

    Args:
        keys: of the metrics of all results.
        subsets: names of the test sets but the first.
        main_metric: name of the main metric.
    """
    keys = list(dict.fromkeys(keys))
    known = set(keys)
    return [_named(key, known, subsets, main_metric) for key in keys]


def _named(key: str, known: set[str], subsets: Sequence[str], main_metric: str) -> MetricName:
    subset = next((name for name in subsets if key.startswith(f"{name}_")), "")
    rest = key.removeprefix(f"{subset}_") if subset else key
    if rest.startswith("baseline_"):
        baseline, figure = _baseline(rest.removeprefix("baseline_"), known, main_metric)
        return MetricName(key, subset, "baseline", figure, baseline)
    for prefix, baseline in _BY_PREFIX.items():
        figure = rest.removeprefix(f"{prefix}_")
        if figure != rest and figure in known:
            return MetricName(key, subset, "baseline", figure, baseline)
    if rest.startswith("confusion_"):
        return MetricName(key, subset, "confusion", rest)
    for end in ("_low", "_high"):
        if key.endswith(end) and key.removesuffix(end) in known:
            return MetricName(key, subset, "bound", rest)
    return MetricName(key, subset, "figure", rest)


def _baseline(rest: str, known: set[str], main_metric: str) -> tuple[str, str]:
    """Return the name of a baseline and of its figure."""
    endings = [name for name in known if rest.endswith(f"_{name}")]
    figure = max(endings, key=len, default="")
    baseline = rest.removesuffix(f"_{figure}") if figure else rest
    return baseline.replace("_", " "), figure or main_metric


#: What decides where the main metric itself is not measured on validation data; less is better.
VALIDATION_LOSS = "validation_loss"


@dataclass(frozen=True)
class Selection:
    """The selected contender, and the figure that decided.

    Attributes:
        place: in the frame.
        figure: key of the training curve, None where nothing of the kind was recorded.
    """

    place: int
    figure: str | None


def select_by_validation(frame: Frame, places: Sequence[int]) -> Selection:
    """Select the contender with the best validation figure of the parameters that were tested, mean
    over seeds.

    Args:
        places: contenders of the frame that have finished; at least one.

    The validation counterpart of the main metric decides where all of them have it, else the
    validation loss. One without a figure is not chosen as long as another has one; where none
    has, the test figure decides, and `Selection.figure` is None.
    """
    assert places, "nothing to choose from"
    counterpart = f"validation_{frame.main_metric}"
    own = {place: _mean_tested(frame.contenders[place].done, counterpart) for place in places}
    if all(value is not None for value in own.values()):
        return _best(own, counterpart, frame.sign)
    losses = {at: _mean_tested(frame.contenders[at].done, VALIDATION_LOSS) for at in places}
    if any(value is not None for value in losses.values()):
        return _best(losses, VALIDATION_LOSS, -1)
    tested = {place: mean_known(frame.contenders[place].values)[0] for place in places}
    return _best(tested, None, frame.sign)


def _best(values: dict[int, float | None], figure: str | None, sign: int) -> Selection:
    """Return the contender with the best value; ties go to the first."""
    known = {place: sign * value for place, value in values.items() if value is not None}
    return Selection(max(known, key=lambda place: known[place]), figure)


def _mean_tested(results: Sequence[Result], key: str) -> float | None:
    """Mean of `key` over the validations of what was tested, or None if any seed lacks it."""
    ends = [result.tested_point.get(key) for result in results]
    return None if None in ends else mean_known(ends)[0]

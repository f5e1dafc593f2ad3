"""Registered mechanisms, scores and tasks, and the names of metrics, as plain data for reports.

Reports must also work on results whose mechanism, score or task is not installed here: whatever
is unknown is shown by its name, and no pair of it is called inapplicable.

Records keep figures in one flat mapping. Their names begin with that of the test set, for all but
the first (`long_rouge_l`); baselines are `baseline_<what>_<figure>`, or `baseline_<what>` for the
main metric; ends of intervals add `_low` and `_high` to their figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from bench.errors import UsageError
from bench.store.cell import Cell

# From the simple to the involved, as papers order them; other names follow alphabetically.
_ATTENTIONS = ("none", "soft", "hard", "global", "local-m", "local-p", "self")
_SCORES = ("dot", "scaled-dot", "general", "concat", "location-aware")
_TASKS = ("translation", "captioning", "entailment", "speech", "summarization")

Kind = Literal["figure", "bound", "baseline", "confusion"]

#: Weights that know nothing; speech measures their distances too.
_WEIGHTS = ("uniform", "diagonal", "centre")
#: What is true of the references themselves.
_REFERENCES = "reference"
#: Baselines that no model is meant to pass: people, and the references.
CEILINGS = frozenset({"human", "references"})


@dataclass(frozen=True)
class AxisEntry:
    """A value of an axis: its name, one line on what it is, its paper and its classic score."""

    name: str
    summary: str = ""
    source: str = ""
    classic_score: str = ""


@dataclass(frozen=True)
class TaskEntry:
    """A task's summary and the names of its units."""

    name: str
    summary: str = ""
    length_unit: str = "source units"
    train_unit: str = "target units"


@dataclass(frozen=True)
class Catalogue:
    """The registered attentions, score functions and tasks, as far as a report needs them.

    Attributes:
        attentions, scores: in the order of registration.
        refusals: reason by (task, attention, score), for the pairs that mean nothing.
        controls: attentions that attend to nothing, so that no score goes with them.
        data_options: names of the options that choose test data, by (task, data set).
    """

    attentions: tuple[AxisEntry, ...] = ()
    scores: tuple[AxisEntry, ...] = ()
    tasks: Mapping[str, TaskEntry] = field(default_factory=dict)
    refusals: Mapping[tuple[str, str, str], str] = field(default_factory=dict)
    controls: frozenset[str] = frozenset()
    data_options: Mapping[tuple[str, str], frozenset[str]] = field(default_factory=dict)

    def task(self, name: str) -> TaskEntry:
        return self.tasks.get(name, TaskEntry(name))

    def attention(self, name: str) -> AxisEntry:
        found = (entry for entry in self.attentions if entry.name == name)
        return next(found, AxisEntry(name))

    def data_options_of(self, cell: Cell) -> frozenset[str]:
        return self.data_options.get((cell.task, cell.dataset), frozenset())


def catalogue_of(cells: Iterable[Cell]) -> Catalogue:
    """Build the catalogue for a report of these cells from the registries."""
    from bench.attention.registries import attentions, scores
    from tasks.base import tasks

    cells = list(cells)
    names = {cell.task for cell in cells if cell.task in tasks}
    known = sorted(names, key=lambda name: sort_key(_TASKS, name))
    fixed = frozenset(name for name, kind in attentions.items() if kind.placement == "fixed")
    return Catalogue(
        attentions=_in_order(
            _ATTENTIONS,
            [
                AxisEntry(name, kind.summary, kind.citation, kind.classic_score)
                for name, kind in attentions.items()
            ],
        ),
        scores=_in_order(
            _SCORES,
            [AxisEntry(name, kind.summary, kind.citation) for name, kind in scores.items()],
        ),
        tasks={name: _task_entry(name) for name in known},
        refusals=_refusals(known),
        controls=fixed,
        data_options=_data_options(cells),
    )


def _in_order(familiar: tuple[str, ...], entries: list[AxisEntry]) -> tuple[AxisEntry, ...]:
    return tuple(sorted(entries, key=lambda entry: sort_key(familiar, entry.name)))


def sort_key(order: Sequence[str], name: str) -> tuple[int, str]:
    """Sort key for names: known ones in their order, unknown ones after them by name."""
    return (order.index(name), "") if name in order else (len(order), name)


def _task_entry(name: str) -> TaskEntry:
    from tasks.base import tasks

    kind = tasks.get(name)
    return TaskEntry(name, kind.summary, kind.length_unit, kind.train_unit)


def _refusals(task_names: list[str]) -> dict[tuple[str, str, str], str]:
    from bench.attention.registries import attentions, scores
    from tasks.base import tasks
    from tasks.plan import refusal

    reasons = {}
    for task in task_names:
        for attention in attentions.names():
            for score in scores.names():
                reason = refusal(tasks.get(task), attention, score)
                if reason:
                    reasons[task, attention, score] = reason
    return reasons


def _data_options(cells: list[Cell]) -> dict[tuple[str, str], frozenset[str]]:
    from tasks.plan import option_schemas

    found: dict[tuple[str, str], frozenset[str]] = {}
    for cell in cells:
        key = cell.task, cell.dataset
        if key in found:
            continue
        try:
            schemas = option_schemas(cell)
        except UsageError:  # not installed here: its options then tell contenders apart
            continue
        mine = set(schemas["data set"].model_fields)
        others = {
            name
            for owner, schema in schemas.items()
            if owner != "data set"
            for name in schema.model_fields
        }
        found[key] = frozenset(mine - others)
    return found


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
    for name in _WEIGHTS:
        figure = rest.removeprefix(f"{name}_")
        if figure != rest and figure in known:
            return MetricName(key, subset, "baseline", figure, f"{name} weights")
    figure = rest.removeprefix(f"{_REFERENCES}_")
    if figure != rest and figure in known:
        return MetricName(key, subset, "baseline", figure, "references")
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

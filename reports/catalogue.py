"""What the registries know, as plain data for tables and pages.

Reports must also work on results whose mechanism, score or task is not installed here: whatever
is unknown is shown by its name, and no pair of it is called inapplicable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from bench.cell import Cell
from bench.errors import UsageError

#: Score of an attention that has none.
NO_SCORE = "none"

# From the simple to the involved, as papers line them up; what is not here follows by name.
_ATTENTIONS = ("none", "soft", "hard", "global", "local-m", "local-p", "self")
_SCORES = ("dot", "scaled-dot", "general", "concat", "location-aware")
_TASKS = ("translation", "captioning", "entailment", "speech", "summarization")


@dataclass(frozen=True)
class AxisEntry:
    """A value of an axis: its name, one line on what it is, its paper and its classic score."""

    name: str
    summary: str = ""
    source: str = ""
    classic_score: str = ""


@dataclass(frozen=True)
class TaskEntry:
    """What pages say of a task."""

    name: str
    summary: str = ""
    length_unit: str = "source units"
    train_unit: str = "target units"


@dataclass(frozen=True)
class Catalogue:
    """Everything registered that a report needs.

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


def from_registries(cells: Iterable[Cell]) -> Catalogue:
    """The catalogue for reporting on these cells."""
    from bench.attention.registries import attentions, scores
    from tasks.registries import tasks

    cells = list(cells)
    names = {cell.task for cell in cells if cell.task in tasks}
    known = sorted(names, key=lambda name: rank(_TASKS, name))
    fixed = frozenset(name for name, kind in attentions.items() if kind.placement == "fixed")
    return Catalogue(
        attentions=_in_order(
            _ATTENTIONS,
            [
                AxisEntry(name, kind.summary, kind.source, kind.classic_score)
                for name, kind in attentions.items()
            ],
        ),
        scores=_in_order(
            _SCORES,
            [AxisEntry(name, kind.summary, kind.source) for name, kind in scores.items()],
        ),
        tasks={name: _task_entry(name) for name in known},
        refusals=_refusals(known),
        controls=fixed,
        data_options=_data_options(cells),
    )


def _in_order(familiar: tuple[str, ...], entries: list[AxisEntry]) -> tuple[AxisEntry, ...]:
    return tuple(sorted(entries, key=lambda entry: rank(familiar, entry.name)))


def rank(order: Sequence[str], name: str) -> tuple[int, str]:
    """A key to sort names by: known ones in their order, unknown ones after them by name."""
    return (order.index(name), "") if name in order else (len(order), name)


def _task_entry(name: str) -> TaskEntry:
    from tasks.registries import tasks

    kind = tasks.get(name)
    return TaskEntry(name, kind.summary, kind.length_unit, kind.train_unit)


def _refusals(task_names: list[str]) -> dict[tuple[str, str, str], str]:
    from bench.attention.registries import attentions, scores
    from tasks.plan import refusal
    from tasks.registries import tasks

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

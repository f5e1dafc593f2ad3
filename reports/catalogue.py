"""What a report knows of the registered attentions, score functions and tasks, and their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from bench.errors import UsageError
from bench.store.cell import Cell

# From the simple to the involved, as papers order them; other names follow alphabetically.
_ATTENTIONS = (
    *("none", "soft", "hard", "global", "local-m", "local-p", "self"),
    *("hierarchical", "multi-step", "over"),
)
_SCORES = (
    *("dot", "scaled-dot", "tanh-dot", "general", "biaffine", "trilinear", "bilinear-tanh"),
    *("concat", "coverage", "location-aware", "location-aware-coverage", "location-aware-2d"),
    *("location-aware-recurrent", "dynamic-convolution", "location"),
)
#: Those of the survey have a column each, run or not.
_SURVEY_SCORES = ("dot", "scaled-dot", "general", "concat", "location-aware")
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
    """A task's summary and the names of its units."""

    name: str
    summary: str = ""
    length_unit: str = "source units"
    train_unit: str = "target units"


@dataclass(frozen=True)
class Catalogue:
    """The registered attentions, score functions and tasks, as far as a report needs them.

    Reports must also work on results whose mechanism, score or task is not installed here:
    whatever is unknown is shown by its name, and no pair of it is called inapplicable.

    Attributes:
        attentions, scores: in the order of registration.
        refusals: reason by (task, attention, score), for the pairs that mean nothing.
        controls: attentions that attend to nothing.
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
    from tasks.plan import refusal

    cells = list(cells)
    names = {cell.task for cell in cells if cell.task in tasks}
    known = {name: tasks.get(name) for name in sorted(names, key=partial(sort_key, _TASKS))}
    # The survey's have a row each, run or not; of the many others those that were run.
    rows = {*_ATTENTIONS, *(cell.attention for cell in cells)}
    columns = {*_SURVEY_SCORES, *(cell.score for cell in cells)}
    fixed = frozenset(name for name, kind in attentions.items() if kind.placement == "fixed")
    return Catalogue(
        attentions=_in_order(
            _ATTENTIONS,
            [
                AxisEntry(name, kind.summary, kind.citation, kind.classic_score)
                for name, kind in attentions.items()
                if name in rows
            ],
        ),
        scores=_in_order(
            _SCORES,
            [
                AxisEntry(name, kind.summary, kind.citation)
                for name, kind in scores.items()
                if name in columns
            ],
        ),
        tasks={
            name: TaskEntry(name, kind.summary, kind.length_unit, kind.train_unit)
            for name, kind in known.items()
        },
        refusals={
            (name, attention, score): reason
            for name, kind in known.items()
            for attention in attentions.names()
            for score in scores.names()
            if (reason := refusal(kind, attention, score))
        },
        controls=fixed,
        data_options=_data_options(cells),
    )


def _in_order(familiar: tuple[str, ...], entries: list[AxisEntry]) -> tuple[AxisEntry, ...]:
    return tuple(sorted(entries, key=lambda entry: sort_key(familiar, entry.name)))


def sort_key(order: Sequence[str], name: str) -> tuple[int, str]:
    """Sort key for names: known ones in their order, unknown ones after them by name."""
    return (order.index(name), "") if name in order else (len(order), name)


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
        others = [schema.model_fields for owner, schema in schemas.items() if owner != "data set"]
        found[key] = frozenset(schemas["data set"].model_fields).difference(*others)
    return found

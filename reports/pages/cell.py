"""The page of one mechanism in one setting: seeds, curves, best and worst outputs, and attention
maps, head by head where those are kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bench.store.result import Result, Trace
from reports import formats
from reports.attention_maps import attention_map
from reports.attention_maps.drawing import Drawing
from reports.figures import Figure
from reports.figures.seeds import seeds_figure
from reports.load import BenchmarkSetting, Contender, TaskEntry, slug
from reports.pages.cell_facts import figures_table, provenance_facts, settings_facts
from reports.pages.gallery import (
    DOING,
    AttentionMap,
    Prediction,
    choose_examples,
    read_predictions,
    read_traces,
    reading_hint,
    source_text,
    whole_map,
)
from reports.statistics import Analysis
from reports.tables import (
    Column,
    Entry,
    Label,
    Missing,
    Number,
    Row,
    Table,
    cell_page_name,
    metric_number,
)
from reports.tables.overview import Fact, converged_text
from reports.tables.scores import main_entries, overlap_notes, run_notes

if TYPE_CHECKING:
    from bench.store.store import Store

#: Predictions shown from either end.
_PREDICTIONS = 6
#: Maps of single heads and layers shown of one example.
_PARTS = 24
_EXAMPLES_WITH_PARTS = 2


@dataclass(frozen=True)
class AttentionExample:
    """The attention of one contender on one example.

    Attributes:
        source: "" where it is no text.
        means: means over heads and layers, writing freely and reading the reference.
        parts: single heads and layers.
    """

    title: str
    source: str
    references: tuple[str, ...]
    prediction: str
    kind: str
    means: tuple[AttentionMap, ...]
    parts: tuple[AttentionMap, ...]


@dataclass(frozen=True)
class CellPage:
    """The content of the page of one contender."""

    href: str
    setting: BenchmarkSetting
    name: str
    entry: Entry
    overlaps: tuple[str, ...]
    seeds: Table
    figures: Table
    settings: tuple[Fact, ...]
    provenance: tuple[Fact, ...]
    curves: Figure | None
    best: tuple[Prediction, ...]
    worst: tuple[Prediction, ...]
    examples: tuple[AttentionExample, ...]
    notes: tuple[str, ...]

    @property
    def hint(self) -> str:
        """How to read the attention maps."""
        return reading_hint(self.examples[0].kind) if self.examples else ""

    @property
    def drawings(self) -> list[Drawing]:
        return [one.drawing for look in self.examples for one in (*look.means, *look.parts)]


def cell_pages(analysis: Analysis, store: Store, task: TaskEntry) -> Iterator[CellPage]:
    """Yield the pages of the leading contenders."""
    entries = main_entries(analysis)
    for place in analysis.leading:
        yield _page(analysis, place, entries[place], store, task)


def _page(analysis: Analysis, place: int, entry: Entry, store: Store, task: TaskEntry) -> CellPage:
    frame = analysis.frame
    contender = frame.contenders[place]
    predictions, notes = read_predictions(store, contender.done[0].hash)
    rows = [one for one in predictions if one.score is not None]
    best, worst = _extremes(rows, analysis.main.subset)
    traces, problem = read_traces(store, contender.done[0].hash)
    return CellPage(
        href=cell_page_name(frame.setting, contender),
        setting=frame.setting,
        name=contender.name,
        entry=entry,
        overlaps=overlap_notes(contender.done),
        seeds=_seeds(analysis, contender),
        figures=figures_table(analysis, contender),
        settings=settings_facts(frame.setting, contender),
        provenance=provenance_facts(contender.done),
        curves=seeds_figure(contender, frame.main_metric, task),
        best=best,
        worst=worst,
        examples=_examples(traces, rows, analysis.main.subset, contender.name),
        notes=(*notes, *problem, *run_notes(contender.done)),
    )


def _seeds(analysis: Analysis, contender: Contender) -> Table:
    """Build the table of seeds; failed ones have the reason."""
    metric = analysis.frame.main_metric
    columns = (
        Column(metric, formats.metric_name(metric)),
        Column("aer", "AER"),
        Column("parameters", "parameters"),
        Column("train_seconds", "training"),
        Column("converged", "converged", text=True),
        Column("result", "result", text=True),
    )
    rows = [_seed_row(result, metric) for result in (*contender.done, *contender.failed)]
    name = f"{slug(analysis.frame.setting.slug)}-{contender.slug}-seeds"
    return Table(name, "Seeds", "seed", columns, tuple(rows))


def _seed_row(result: Result, metric: str) -> Row:
    label = str(result.cell_json["seed"])
    if result.failure is not None or result.primary is None:
        told = f"{result.failure.kind}: {result.failure.message}" if result.failure else ""
        return Row(label, (), spanning=Missing("failed", told))
    primary, cost = result.primary, result.cost
    aer = result.alignment.aer if result.alignment else None
    entries: tuple[Entry, ...] = (
        metric_number(primary.value, metric, primary.low, primary.high),
        _known(aer, "percent"),
        _known(cost.parameters, "count"),
        _known(cost.train_seconds, "seconds"),
        Label(converged_text(result.converged)),
        Label(result.hash[:12]),
    )
    return Row(label, entries)


def _known(value: float | None, form: Any) -> Entry:
    return Missing("not measured") if value is None else Number(value, form=form)


def _extremes(
    rows: Sequence[Prediction], subset: str
) -> tuple[tuple[Prediction, ...], tuple[Prediction, ...]]:
    """Return the best and the worst predictions of a test set by score, none of them in both.
    Among equal scores the longest sources count as best and the shortest as worst."""
    own = sorted(
        (row for row in rows if row.subset == subset),
        key=lambda row: (-(row.score or 0.0), -len(row.source), row.example),
    )
    count = min(_PREDICTIONS, len(own) // 2)
    return tuple(own[:count]), tuple(reversed(own[len(own) - count :]))


def _examples(
    traces: Sequence[Trace], rows: Sequence[Prediction], subset: str, name: str
) -> tuple[AttentionExample, ...]:
    texts = {row.key: row for row in rows}
    found = []
    for number, key in enumerate(choose_examples(traces, subset)):
        own = [one for one in traces if (one.subset, one.example) == key]
        own = [one for one in own if one.source and one.target]
        if not own:
            continue
        text = texts.get(key)
        with_parts = next((trace for trace in own if trace.parts), None)
        parts = _parts(with_parts, name) if with_parts and number < _EXAMPLES_WITH_PARTS else ()
        found.append(
            AttentionExample(
                f"Example {key[1]} of the test set “{key[0]}”",
                text.shown_source if text else source_text(own[0]),
                text.references if text else (),
                text.text if text else "",
                own[0].kind,
                tuple(whole_map(trace, name, f"while {DOING[trace.mode]}") for trace in own),
                parts,
            )
        )
    return tuple(found)


def _parts(trace: Trace, name: str) -> tuple[AttentionMap, ...]:
    """Draw single heads and layers of one trace."""
    return tuple(
        AttentionMap(
            part, attention_map(replace(trace, weights=weights), f"Attention of {name}, {part}")
        )
        for part, weights in list(trace.parts.items())[:_PARTS]
    )

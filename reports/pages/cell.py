"""The page of one mechanism in one setting: seeds, curves, best and worst outputs, and links to its
attention in the explorer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.store.result import Result
from reports import formats
from reports.catalogue import TaskEntry
from reports.figures import Figure
from reports.figures.seeds import seeds_figure
from reports.load import BenchmarkSetting, Contender
from reports.pages.explorer import Explorer, ExplorerExample
from reports.pages.predictions import Outputs, Prediction
from reports.results import failure_text
from reports.statistics import Analysis
from reports.statistics.baselines import metric_names
from reports.tables import (
    Column,
    Entry,
    Label,
    Missing,
    Row,
    Table,
    cell_page_name,
    form_of,
    measured_metric,
    metric_number,
)
from reports.tables.facts import Fact, provenance_facts, settings_facts
from reports.tables.scores import main_entries, mean_entry, overlap_notes, run_notes


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
    examples: tuple[ExplorerExample, ...]
    explorer: Explorer
    notes: tuple[str, ...]


def cell_pages(
    analysis: Analysis, task: TaskEntry, explorer: Explorer, outputs: Mapping[int, Outputs]
) -> Iterator[CellPage]:
    """Yield the pages of the leading contenders.

    Args:
        outputs: what they wrote, by place.
    """
    frame, entries = analysis.frame, main_entries(analysis)
    for place in analysis.leading:
        contender, own = frame.contenders[place], outputs[place]
        problem = explorer.problems.get(contender.name, "")
        notes = (*own.notes, problem, *run_notes(contender.done))
        yield CellPage(
            href=cell_page_name(frame.setting, contender),
            setting=frame.setting,
            name=contender.name,
            entry=entries[place],
            overlaps=overlap_notes(contender.done),
            seeds=_seeds(analysis, contender),
            figures=_figures(analysis, contender),
            settings=settings_facts(frame.setting, contender),
            provenance=provenance_facts(contender.done),
            curves=seeds_figure(contender, frame.main_metric, task),
            best=own.best,
            worst=own.worst,
            examples=tuple(
                one for one in explorer.examples if one.listed and contender.name in one.traced
            ),
            explorer=explorer,
            notes=tuple(filter(None, notes)),
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
    name = f"{analysis.frame.setting.slug}-{contender.slug}-seeds"
    return Table(name, "Seeds", "seed", columns, tuple(rows))


def _seed_row(result: Result, metric: str) -> Row:
    label = str(result.cell_json["seed"])
    if result.primary is None:
        return Row(label, (), spanning=Missing("failed", failure_text(result) or ""))
    primary, cost = result.primary, result.cost
    aer = result.alignment.aer if result.alignment else None
    entries: tuple[Entry, ...] = (
        metric_number(primary.value, metric, primary.low, primary.high),
        mean_entry([aer], form="percent"),
        mean_entry([cost.parameters], form="count"),
        mean_entry([cost.train_seconds], form="seconds"),
        Label(formats.yes_or_no(result.converged, "unknown")),
        Label(result.hash[:12]),
    )
    return Row(label, entries)


def _figures(analysis: Analysis, contender: Contender) -> Table:
    """Build the table of all figures of a contender: one metric a row, one seed a column, and
    their mean where there are several."""
    several = len(contender.done) > 1
    columns = [Column(f"seed_{seed}", f"seed {seed}") for seed in contender.seeds]
    if several:
        columns.insert(0, Column("mean", "mean"))
    known = {one.key: one for one in metric_names(analysis)}
    rows = []
    keys = dict.fromkeys(key for result in contender.done for key in result.metrics)
    ends = {f"{key}{end}" for key in keys for end in ("_low", "_high")}  # of intervals
    for key in (key for key in keys if key not in ends):
        one = known.get(key)
        figure = one.figure if one and one.kind == "figure" else key
        values = [result.metrics.get(key) for result in contender.done]
        entries: list[Entry] = [
            measured_metric(
                *(result.metrics.get(key), figure),
                *(result.metrics.get(f"{key}{end}") for end in ("_low", "_high")),
            )
            for result in contender.done
        ]
        if several:
            digits, form = formats.decimals(figure), form_of(figure)
            entries.insert(0, mean_entry(values, digits=digits, form=form))
        label = key.replace("_", " ")
        if one and one.kind == "figure":
            label = formats.metric_name(figure)
        detail = f"test set “{one.subset}”" if one and one.subset else ""
        rows.append(Row(label, tuple(entries), detail))
    name = f"{analysis.frame.setting.slug}-{contender.slug}-figures"
    return Table(name, "All figures", "figure", tuple(columns), tuple(rows))

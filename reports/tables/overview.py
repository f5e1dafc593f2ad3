"""The overview over all settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from reports import formats
from reports.catalogue import Catalogue
from reports.statistics import Analysis
from reports.statistics.baselines import best_baseline, select_by_validation
from reports.tables import Column, Entry, Missing, Number, Row, Table, better_of
from reports.tables.scores import ONE_SEED, main_entries, overlap_notes


def overview_table(analyses: Sequence[Analysis], catalogue: Catalogue) -> Table:
    """Build the table of attention by setting: each attention with the score function that
    validation data selected."""
    names = [entry.name for entry in catalogue.attentions]
    run = [one.attention for analysis in analyses for one in analysis.frame.contenders]
    names = list(dict.fromkeys([*names, *run]))
    columns = [
        Column(
            analysis.frame.setting.slug,
            # With the direction of the metric: `speech: PER, lower is better`.
            f"{analysis.frame.setting.task}: {formats.metric_name(analysis.frame.main_metric)}"
            f"{'' if analysis.frame.higher_is_better else ', lower is better'}",
            analysis.frame.setting.label,
            group=analysis.frame.setting.label,
            better=better_of(analysis.frame),
        )
        for analysis in analyses
    ]
    every = [(analysis, main_entries(analysis)) for analysis in analyses]
    rows = [
        Row(
            name,
            tuple(_chosen(analysis, name, entries) for analysis, entries in every),
            catalogue.attention(name).source,
        )
        for name in names
    ]
    found = [best_baseline(analysis) for analysis in analyses]
    if any(found):
        baseline = [
            replace(entry, note=one.name)
            if one and isinstance(entry := one.entry(analysis.frame.main_metric), Number)
            else Missing("not measured")
            for one, analysis in zip(found, analyses, strict=True)
        ]
        rows.append(Row("best baseline", tuple(baseline), "not attention", apart=True))
    notes = (
        "Each attention with the score function (and options) that did best on validation data, "
        "named beside its test figure: by the validation counterpart of the main metric where "
        "one was measured, else by the validation loss. Another may have the best test figure; "
        "the page of the task has all.",
        "Group 1 holds the best of a column and all that cannot be told apart from it. With few "
        "seeds that may span much: the page of the task says how large a difference they can show.",
    )
    shared = tuple(
        f"{analysis.frame.setting.task.capitalize()}, {analysis.frame.setting.label}: "
        f"{analysis.frame.shared[:1].lower()}{analysis.frame.shared[1:]}"
        for analysis in analyses
        if analysis.frame.shared
    )
    overlaps = tuple(
        f"{analysis.frame.setting.task.capitalize()}, {analysis.frame.setting.label}: {note}"
        for analysis in analyses
        for note in overlap_notes(analysis.frame.done)
    )
    head = ("overview", "Attention by task", "attention")
    if any(not one.main.over_seeds() for one in analyses):
        overlaps = (f"{ONE_SEED} Groups then compare the models that were trained.", *overlaps)
    return Table(*head, tuple(columns), tuple(rows), (*notes, *shared, *overlaps), shows_notes=True)


def _chosen(analysis: Analysis, attention: str, entries: Sequence[Entry]) -> Entry:
    frame = analysis.frame
    own = [place for place, one in enumerate(frame.contenders) if one.attention == attention]
    numbers = {place: entry for place in own if isinstance(entry := entries[place], Number)}
    if not numbers:
        return entries[own[0]] if own else Missing("not run")
    selection = select_by_validation(frame, list(numbers))
    rest = frame.contenders[selection.place].name.removeprefix(attention).strip(" +")
    told = f"with {rest}" if rest else ""
    if selection.figure is None and len(numbers) > 1:
        told = f"{told}, the best on the test set: no validation figures are kept".lstrip(", ")
    return replace(numbers[selection.place], note=told)

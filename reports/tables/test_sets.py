"""The main metric on every test set, and by source length: what longer inputs cost."""

from __future__ import annotations

from collections.abc import Sequence

from reports import formats
from reports.statistics import Analysis
from reports.statistics.significance import DifferenceEstimate
from reports.tables import (
    Column,
    Entry,
    Missing,
    Number,
    Table,
    better_of,
    estimate_entry,
    measured_metric,
    metric_number,
)
from reports.tables.scores import ONE_SEED, contender_table, detectable_note, overlap_notes


def subsets_table(analysis: Analysis) -> Table:
    """Build the table of the main metric on every test set, and of the changes on the longer
    ones."""
    frame, main = analysis.frame, analysis.main
    metric = frame.main_metric

    columns = {
        Column(one.subset, one.subset, better=better_of(frame)): [
            estimate_entry(estimate, metric, group=group)
            for estimate, group in zip(one.estimates, one.groups, strict=True)
        ]
        for one in analysis.subsets
    }
    for one in analysis.subsets[1:]:
        pairs = list(zip(main.estimates, one.estimates, strict=True))
        for key, sign, change in (("minus", "−", _difference), ("over", "/", _ratio)):
            label = f"{one.subset} {sign} {main.subset}"
            columns[Column(f"{one.subset}_{key}_{main.subset}", label)] = [
                change(first.value, other.value, metric)
                if first and other
                else Missing("not measured")
                for first, other in pairs
            ]
    notes = ["Group numbers are those of each test set by itself."]
    notes += (note for one in analysis.subsets for note in detectable_note(one, metric))
    notes += overlap_notes(frame.done)
    title = f"{formats.title(metric)} by test set"
    return contender_table(analysis, "test-sets", title, columns, notes)


def _difference(first: float, other: float, metric: str) -> Entry:
    return metric_number(other - first, metric, signed=True)


def _ratio(first: float, other: float, _: str) -> Entry:
    return (
        Number(other / first, digits=2) if first else Missing("not applicable", "the figure is 0")
    )


def length_table(analysis: Analysis, length_unit: str) -> Table | None:
    """Build the table of the figure and the lead over the control on every length range, and the
    growth of that lead from the first, shortest range."""
    found, frame = analysis.leads, analysis.frame
    if found is None:
        return None
    metric, control = frame.main_metric, frame.contenders[found.control].name
    several = analysis.main.over_seeds()
    ahead, grows = ("ahead of", "lead grows by") if several else ("difference from", "grows by")

    def lead(leads: Sequence[DifferenceEstimate | None]) -> list[Entry]:
        entries: list[Entry] = [
            metric_number(one.value, metric, one.low, one.high, signed=True)
            if one
            else Missing("not measured")
            for one in leads
        ]
        entries[found.control] = Missing("not applicable", "the control itself")
        return entries

    columns: dict[Column, list[Entry]] = {}
    parts = zip(found.parts, found.figures, found.leads, (None, *found.growth), strict=True)
    for number, (part, figures, leads, growth) in enumerate(parts, start=1):
        key, group = f"part{number}", f"{part.name} ({part.low} to {part.high})"
        columns[Column(key, formats.metric_name(metric), group=group)] = [
            measured_metric(value, metric) for value in figures
        ]
        columns[Column(f"{key}_lead", f"{ahead} {control}", group=group)] = lead(leads)
        if growth is not None:
            columns[Column(f"{key}_growth", grows, group=group)] = lead(growth)
    note = (
        f"Lengths in {length_unit}. A lead is positive where the mechanism is the better one, on "
        "the same examples, with its 95 % interval; one whose interval holds 0 may be chance. "
        "Intervals are each mechanism's own; the findings above count growth, which is from the "
        "first part on, after Holm's correction."
    )
    if not several:
        side = "higher" if frame.higher_is_better else "lower"
        note = (
            f"Lengths in {length_unit}. A difference is positive where the mechanism's figure is "
            f"{side}, on the same examples; its 95 % interval covers other examples. {ONE_SEED}"
        )
    title = f"{'Lead over' if several else 'Difference from'} {control} by source length"
    return contender_table(analysis, "length", title, columns, [note])

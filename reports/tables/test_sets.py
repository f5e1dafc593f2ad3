"""The main metric on every test set, and by source length: what longer inputs cost."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from reports import formats
from reports.statistics import Analysis, SubsetEstimates
from reports.statistics.significance import DifferenceEstimate
from reports.tables import (
    Column,
    Columns,
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
    metric, better = frame.main_metric, better_of(frame)

    def figure(scores: SubsetEstimates, place: int) -> Entry:
        return estimate_entry(scores.estimates[place], metric, group=scores.groups[place])

    def change(scores: SubsetEstimates, ratio: bool, place: int) -> Entry:
        first, other = main.estimates[place], scores.estimates[place]
        if first is None or other is None:
            return Missing("not measured")
        if not ratio:
            return metric_number(other.value - first.value, metric, signed=True)
        if not first.value:
            return Missing("not applicable", "the figure is 0")
        return Number(other.value / first.value, digits=2)

    columns: Columns = {
        Column(one.subset, one.subset, better=better): partial(figure, one)
        for one in analysis.subsets
    }
    for one in analysis.subsets[1:]:
        for word, sign, ratio in (("minus", "−", False), ("over", "/", True)):
            column = Column(
                f"{one.subset}_{word}_{main.subset}", f"{one.subset} {sign} {main.subset}"
            )
            columns[column] = partial(change, one, ratio)
    notes = ["Group numbers are those of each test set by itself."]
    notes += (note for one in analysis.subsets for note in detectable_note(one, metric))
    notes += overlap_notes(frame.done)
    title = f"{formats.title(metric)} by test set"
    return contender_table(analysis, "test-sets", title, columns, notes)


def length_table(analysis: Analysis, length_unit: str) -> Table | None:
    """Build the table of the figure and the lead over the control on every length range, and the
    growth of that lead from the first, shortest range."""
    found, frame = analysis.leads, analysis.frame
    if found is None:
        return None
    metric, control = frame.main_metric, frame.contenders[found.control].name
    several = analysis.main.over_seeds()
    ahead, grows = ("ahead of", "lead grows by") if several else ("difference from", "grows by")

    def figure(values: Sequence[float | None], place: int) -> Entry:
        return measured_metric(values[place], metric)

    def lead(leads: Sequence[DifferenceEstimate | None], place: int) -> Entry:
        if place == found.control:
            return Missing("not applicable", "the control itself")
        if (one := leads[place]) is None:
            return Missing("not measured")
        return metric_number(one.value, metric, one.low, one.high, signed=True)

    columns: Columns = {}
    parts = zip(found.parts, found.figures, found.leads, (None, *found.growth), strict=True)
    for number, (part, figures, leads, growth) in enumerate(parts, start=1):
        key, group = f"part{number}", f"{part.name} ({part.low} to {part.high})"
        columns[Column(key, formats.metric_name(metric), group=group)] = partial(figure, figures)
        columns[Column(f"{key}_lead", f"{ahead} {control}", group=group)] = partial(lead, leads)
        if growth is not None:
            columns[Column(f"{key}_growth", grows, group=group)] = partial(lead, growth)
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

"""All metrics of a frame, with the controls set apart below them."""

from __future__ import annotations

from collections.abc import Sequence

from reports import formats
from reports.analysis import Analysis
from reports.controls import Control, best_control, controls, names_of, standings
from reports.group_notes import detectable_note
from reports.matrix import headline_entries
from reports.metric_names import Named
from reports.tables import Column, Label, Missing, Row, Table, form_of
from reports.task_rows import CONTENDER, contender_row, mean_entry

CONTROL = "control: {}"
_NOTES = {
    "human": "“Human”: one reference of each example against its others.",
    "references": "“References”: what is true of the references themselves.",
}


def metrics_table(analysis: Analysis) -> Table:
    """All metrics of all contenders, best first, means over seeds; the controls after them."""
    frame = analysis.frame
    names = [one for one in names_of(analysis) if one.kind == "figure"]
    names.sort(key=lambda one: bool(one.subset))
    several = any(one.subset for one in names)
    headline, stand = headline_entries(analysis), standings(analysis)
    best = best_control(analysis)
    rows = []
    for place in analysis.order:
        contender = frame.contenders[place]
        entries = [
            headline[place]
            if one.key == frame.headline
            else mean_entry(
                [result.metrics.get(one.key) for result in contender.done],
                digits=formats.decimals(one.figure),
                form=form_of(one.figure),
            )
            for one in names
        ]
        if best:
            told = stand[place]
            entries.insert(1, Label(told) if told else Missing("not measured"))
        rows.append(contender_row(analysis, place, entries))
    known = controls(analysis)
    rows += [_control_row(one, names, best is not None) for one in known]
    columns = [_column(one, analysis, several) for one in names]
    if best:
        columns.insert(1, _standing_column(analysis, best, columns[0].group))
    return Table(
        f"{frame.setting.slug}-metrics",
        "Metrics",
        CONTENDER,
        tuple(columns),
        tuple(rows),
        tuple(_notes(analysis, known, best)),
    )


def _control_row(control: Control, names: Sequence[Named], stands: bool) -> Row:
    entries = [control.entry(one.figure, one.subset) for one in names]
    if stands:
        entries.insert(1, Missing("not applicable"))
    return Row(CONTROL.format(control.name), tuple(entries), apart=True)


def _column(one: Named, analysis: Analysis, several: bool) -> Column:
    subset = one.subset or analysis.headline.subset
    group = f"test set “{subset}”" if several else ""
    return Column(one.key, formats.metric_name(one.figure), group=group)


def _standing_column(analysis: Analysis, best: Control, group: str) -> Column:
    value = best.headline(analysis)
    assert value is not None, "the best control has a headline figure"
    told = formats.figure(value, analysis.frame.headline)
    return Column(
        "against_best_control",
        f"against “{best.name}” ({told})",
        "better: the whole interval lies on the better side of the best control",
        group=group,
        text=True,
    )


def _notes(analysis: Analysis, known: Sequence[Control], best: Control | None) -> list[str]:
    notes = ["Means over the seeds that have the metric; best headline figure first."]
    notes += detectable_note(analysis.headline, analysis.frame.headline)
    if known:
        notes.append("Controls attend to nothing, and most learn nothing: figures to pass.")
    if best:
        better = "higher" if analysis.frame.higher_is_better else "lower"
        notes.append(
            "“Better” than the best control: the 95 % interval lies on its better side "
            f"({better}), the control's figure taken as exact."
        )
    notes += [text for name, text in _NOTES.items() if any(one.name == name for one in known)]
    return notes

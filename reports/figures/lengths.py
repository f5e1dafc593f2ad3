"""The main metric by source length, one panel per attention."""

from __future__ import annotations

import pandas as pd

from reports import formats
from reports.catalogue import TaskEntry
from reports.figures import Figure
from reports.figures.chart_parts import Layout
from reports.figures.panels import COLUMNS, LEAST, context, described, line_panels, shared_points
from reports.figures.series import (
    Styles,
    axis_name,
    drawn,
    metric_scale,
    panels_caption,
    score_name,
)
from reports.figures.theme import Style
from reports.statistics import Analysis

_LONGEST_UNIT = 24  # characters that fit under a panel


def layout(
    frame: pd.DataFrame, metric: str, unit: str, series: dict[str, Style], longest: float | None
) -> Layout:
    """The layout of a frame of figures by length (`lengths_frame`).

    Args:
        longest: the longest source of the main test set, where there are longer ones; the ground
            beyond it is shaded.
    """
    titles = (unit, axis_name(metric))
    shaded = None if longest is None else (longest, float(frame["length"].max()))
    return line_panels(
        tuple(frame["panel"].unique()),
        "length",
        titles,
        tuple(series.items()),
        shaded=shaded,
        from_zero=True,
    )


def lengths_frame(analysis: Analysis) -> pd.DataFrame:
    """One row for each seed and bin of lengths; `part` is the test set, `length` the middle of the
    bin. Percentages for fractions."""
    scale = metric_scale(analysis.frame.main_metric)
    rows = [
        (
            *(one.attention, score_name(one.score), one.name, entry.subset, seed, result.converged),
            *(entry.value * scale, (entry.low + entry.high) / 2),
        )
        for one in drawn(analysis)
        for seed, result in zip(one.seeds, one.done, strict=True)
        for entry in result.by_length
    ]
    return shared_points(pd.DataFrame(rows, columns=[*COLUMNS, "length"]), "length")


def by_length(analysis: Analysis, styles: Styles, task: TaskEntry) -> Figure | None:
    """The figure of a setting; None where nothing was measured by length."""
    frame = lengths_frame(analysis)
    if frame.empty:
        return None
    metric = analysis.frame.main_metric
    bins = [entry for result in analysis.frame.done for entry in result.by_length]
    first = analysis.main.subset
    longest = max((entry.high for entry in bins if entry.subset == first), default=None)
    beyond = longest is not None and any(entry.high > longest for entry in bins)
    unit = task.length_unit if len(task.length_unit) <= _LONGEST_UNIT else "length"
    told = "Shaded: longer than anything in training and in the test set. " if beyond else ""
    names = list(dict.fromkeys(entry.subset for entry in bins))
    if len(names) > 1:
        told += f"Each test set ({formats.listed(names)}) has a line of its own. "
    if unit != task.length_unit:
        told = f"Length in {task.length_unit}. {told}"
    series = styles.of(frame["series"])
    return Figure(
        f"{analysis.frame.setting.slug}-by-length",
        f"{formats.title(metric)}{' (%)' if formats.is_fraction(metric) else ''} by source length",
        f"{told}{panels_caption(analysis)}",
        described(frame, "length", axis_name(metric)),
        layout(frame, metric, unit, series, longest if beyond else None),
        frame,
        series,
        LEAST,
        context(frame, "length"),
    )

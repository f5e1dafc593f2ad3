"""The main metric by source length, one panel per attention."""

from __future__ import annotations

import pandas as pd

from reports import formats
from reports.catalogue import TaskEntry
from reports.figures import Figure
from reports.figures.panels import lines_figure, lines_frame, panels_caption
from reports.figures.series import Styles, axis_name, metric_scale
from reports.statistics import Analysis

_LONGEST_UNIT = 24  # characters that fit under a panel


def lengths_frame(analysis: Analysis) -> pd.DataFrame:
    """One row for each seed and bin of lengths; `part` is the test set, `length` the middle of the
    bin. Percentages for fractions."""
    scale = metric_scale(analysis.frame.main_metric)
    return lines_frame(
        analysis,
        "length",
        lambda result: (
            (bin.subset, (bin.low + bin.high) / 2, bin.value * scale) for bin in result.by_length
        ),
    )


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
    # The ground is shaded beyond the longest source of the main test set.
    shaded = (longest, float(frame["length"].max())) if longest is not None and beyond else None
    return lines_figure(
        f"{analysis.frame.setting.slug}-by-length",
        f"{formats.title(metric)}{' (%)' if formats.is_fraction(metric) else ''} by source length",
        f"{told}{panels_caption(analysis)}",
        frame,
        (unit, axis_name(metric)),
        styles.of(frame["series"]),
        shaded=shaded,
        from_zero=True,
    )

"""Training curves: what was measured while training, one panel per attention."""

from __future__ import annotations

import pandas as pd

from reports import formats
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
from reports.load import slug
from reports.statistics import Analysis

#: Keys of a training curve that are not figures of their own.
NOT_FIGURES = ("step", "seconds", "epoch", "learning_rate", "units")


def layout(frame: pd.DataFrame, quantity: str, series: dict[str, Style]) -> Layout:
    """The layout of a frame of curves (`curves_frame`)."""
    titles = ("step", axis_name(quantity))
    return line_panels(tuple(frame["panel"].unique()), "step", titles, tuple(series.items()))


def curves_frame(analysis: Analysis, quantity: str) -> pd.DataFrame:
    """One row for each seed and step at which a quantity was recorded; percentages for
    fractions."""
    scale = metric_scale(quantity)
    rows = [
        (
            *(one.attention, score_name(one.score), one.name, "", seed, result.converged),
            *(point[quantity] * scale, point["step"]),
        )
        for one in drawn(analysis)
        for seed, result in zip(one.seeds, one.done, strict=True)
        for point in result.curve
        if {"step", quantity} <= {*point}
    ]
    return shared_points(pd.DataFrame(rows, columns=[*COLUMNS, "step"]), "step")


def quantities(analysis: Analysis) -> list[str]:
    """What was recorded while training, in the order of the records."""
    keys = dict.fromkeys(
        key for result in analysis.frame.done for point in result.curve for key in point
    )
    return [key for key in keys if key not in NOT_FIGURES]


def training_curves(analysis: Analysis, styles: Styles) -> list[Figure]:
    """One figure for each quantity recorded during training (loss, validation loss, ...)."""
    figures = []
    for quantity in quantities(analysis):
        frame = curves_frame(analysis, quantity)
        if frame.empty:
            continue
        series = styles.of(frame["series"])
        name = axis_name(quantity)
        figures.append(
            Figure(
                f"{analysis.frame.setting.slug}-curve-{slug(quantity)}",
                f"{formats.title(quantity)} while training",
                panels_caption(analysis),
                described(frame, "step", name),
                layout(frame, quantity, series),
                frame,
                series,
                LEAST,
                context(frame, "step"),
            )
        )
    return figures

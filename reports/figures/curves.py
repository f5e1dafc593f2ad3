"""Training curves: what was measured while training, one panel per attention."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bench.store.result import Result
from reports import formats
from reports.figures import Figure
from reports.figures.panels import lines_figure, lines_frame, panels_caption
from reports.figures.series import Styles, axis_name, metric_scale
from reports.load import slug
from reports.statistics import Analysis

#: Keys of a training curve that are not figures of their own.
NOT_FIGURES = ("step", "seconds", "epoch", "learning_rate", "units")


def curves_frame(analysis: Analysis, quantity: str) -> pd.DataFrame:
    """One row for each seed and step at which a quantity was recorded; percentages for
    fractions."""

    def points(result: Result) -> Iterator[tuple[str, float, float]]:
        for point in result.curve:
            if {"step", quantity} <= {*point}:
                yield "", point["step"], point[quantity] * metric_scale(quantity)

    return lines_frame(analysis, "step", points)


def quantities(analysis: Analysis) -> list[str]:
    """What was recorded while training, in the order of the records."""
    keys = dict.fromkeys(
        key for result in analysis.frame.done for point in result.curve for key in point
    )
    return [key for key in keys if key not in NOT_FIGURES]


def training_curves(analysis: Analysis, styles: Styles) -> list[Figure]:
    """One figure for each quantity recorded during training (loss, validation loss, ...)."""
    frames = {quantity: curves_frame(analysis, quantity) for quantity in quantities(analysis)}
    return [
        lines_figure(
            f"{analysis.frame.setting.slug}-curve-{slug(quantity)}",
            f"{formats.title(quantity)} while training",
            panels_caption(analysis),
            frame,
            ("step", axis_name(quantity)),
            styles.of(frame["series"]),
        )
        for quantity, frame in frames.items()
        if not frame.empty
    ]

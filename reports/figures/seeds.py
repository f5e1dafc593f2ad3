"""The curves of one mechanism, a line a seed: what was measured while training, and by length."""

from __future__ import annotations

import json
from typing import Any

import altair as alt
import pandas as pd

from reports import formats
from reports.catalogue import TaskEntry
from reports.figures import Figure
from reports.figures import chart_parts as parts
from reports.figures.curves import NOT_FIGURES
from reports.figures.panels import LEAST, PANEL
from reports.figures.series import axis_name, metric_scale
from reports.figures.theme import Style, styles
from reports.load import Contender

#: Columns of the frame: one row for each point; `axis` is what x counts.
COLUMNS = ("quantity", "axis", "test set", "seed", "converged", "x", "value")
_COLUMNS = 4


def layout(frame: pd.DataFrame, series: dict[str, Style]) -> parts.Layout:
    """The layout of a frame with the columns `COLUMNS`: a panel for each quantity and what it is
    over, each with its own scales."""
    panels = frame[["quantity", "axis"]].drop_duplicates().itertuples(index=False, name=None)
    return _layout(tuple(panels), tuple(series.items()))


@parts.layout
def _layout(panels: tuple[tuple[str, str], ...], series: parts.Series) -> alt.TopLevelConcatSpec:
    return parts.panels([_panel(*panel, series) for panel in panels], _COLUMNS)


def _panel(quantity: str, axis: str, series: parts.Series) -> alt.LayerSpec:
    own = f"datum.quantity === {json.dumps(quantity)} && datum.axis === {json.dumps(axis)}"
    name = axis_name(quantity)
    xy: dict[str, Any] = {
        "x": alt.X("x:Q", title=axis, scale=alt.Scale(zero=False, nice=False, padding=parts.EDGE)),
        "y": alt.Y("value:Q", title=None, scale=alt.Scale(zero=False)),
    }
    told = [
        alt.Tooltip("seed:N"),
        alt.Tooltip("test set:N"),
        alt.Tooltip("x:Q", title=axis),
        alt.Tooltip("value:Q", title=name, format=",.4~g"),
    ]
    return alt.LayerSpec(
        layer=[
            parts.layer(
                alt.MarkDef(type="line"),
                {
                    **xy,
                    "detail": alt.Detail("test set:N"),
                    "color": parts.colour("seed", series),
                    "strokeDash": parts.dash("seed", series),
                },
            ),
            parts.layer(
                alt.MarkDef(type="point", filled=False),
                {**xy, **parts.marker("seed", series), "tooltip": told},
            ),
        ],
        transform=[alt.FilterTransform(own), parts.shown("seed")],
        title=name,
        width=PANEL[0],
        height=PANEL[1],
    )


def seeds_frame(contender: Contender, metric: str, task: TaskEntry) -> pd.DataFrame:
    """The curves of a contender's seeds, and its main metric by length; percentages for
    fractions."""
    rows: list[tuple[Any, ...]] = []
    keys = dict.fromkeys(key for one in contender.done for point in one.curve for key in point)
    seeds = list(zip(contender.seeds, contender.done, strict=True))
    for key in keys:
        if key not in NOT_FIGURES:
            scale = metric_scale(key)
            rows += [
                (key, "step", "", seed, one.converged, point["step"], point[key] * scale)
                for seed, one in seeds
                for point in one.curve
                if {"step", key} <= {*point}
            ]
    rows += [
        (
            *(metric, task.length_unit, entry.subset, seed, one.converged),
            *((entry.low + entry.high) / 2, entry.value * metric_scale(metric)),
        )
        for seed, one in seeds
        for entry in one.by_length
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"seed": str})


def seeds_figure(contender: Contender, metric: str, task: TaskEntry) -> Figure | None:
    """The figure of the page of a mechanism; None where nothing was recorded."""
    frame = seeds_frame(contender, metric, task)
    if frame.empty:
        return None
    series = styles(frame["seed"])
    sets = [name for name in dict.fromkeys(frame["test set"]) if name]
    told = (
        f"By source length, each test set ({formats.listed(sets)}) has a line of its own; "
        "lengths may overlap."
        if len(sets) > 1
        else ""
    )
    ends = frame.groupby(["quantity", "axis"], sort=False)["value"].agg(["first", "last"])
    described = "; ".join(
        f"{axis_name(str(quantity))} by {axis} from {first:.4g} to {last:.4g}"
        for (quantity, axis), first, last in ends.itertuples()
    )
    return Figure(
        "",
        "Curves",
        told,
        f"{described}.",
        layout(frame, series),
        frame,
        series if len(series) > 1 else {},
        LEAST,
    )

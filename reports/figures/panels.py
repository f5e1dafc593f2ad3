"""Small multiples of lines: one panel per attention, its own lines in colour, all others in grey.

Many lines in one chart cannot be told apart. A line is the mean over seeds, the band about it
reaches from the lowest seed to the highest, and the points are the seeds.
"""

from __future__ import annotations

from typing import Any

import altair as alt
import pandas as pd

from reports.figures import chart_parts as parts

#: Columns of the frame besides x: one row for each seed at each point of each line. `panel` is the
#: attention, `series` what is told apart by colour, `part` tells lines of one mechanism apart.
COLUMNS = ("panel", "series", "mechanism", "part", "seed", "converged", "value")
#: Width and height of a panel in pixels.
PANEL = (164, 104)
#: Least width of a panel on a page: two of them fit a phone.
LEAST = 132
_COLUMNS = 4
_MEAN = (("mean", "mean"), ("min", "low"), ("max", "high"))


@parts.layout
def line_panels(
    panels: tuple[str, ...],
    x: str,
    titles: tuple[str, str],
    series: parts.Series,
    *,
    shaded: tuple[float, float] | None = None,
    from_zero: bool = False,
) -> alt.TopLevelFacetSpec:
    """The layout for frames with the columns `COLUMNS` and one for x.

    Args:
        panels: in their order.
        x: name of that column.
        titles: of both axes.
        series: names and styles in the order of the legend.
        shaded: the part of x whose ground is shaded ("longer than in training").
    """
    x_axis = alt.X(
        x,
        type="quantitative",
        title=titles[0],
        scale=alt.Scale(zero=False, nice=False, padding=parts.EDGE),
    )
    y_axis = alt.Y(
        "mean:Q", title=titles[1], scale=alt.Scale(zero=from_zero, nice=False, padding=parts.EDGE)
    )
    detail = [alt.Detail(name, type="nominal") for name in ("mechanism", "part")]
    lines: dict[str, Any] = {"x": x_axis, "y": y_axis, "detail": detail}
    colour = parts.colour("series", series)
    means = [parts.shown("series"), _means(x)]
    told = [
        alt.Tooltip("mechanism:N"),
        alt.Tooltip("part:N", title="of"),
        alt.Tooltip("seed:N"),
        alt.Tooltip(x, type="quantitative", title=titles[0]),
        alt.Tooltip("value:Q", title=titles[1], format=",.4~g"),
        alt.Tooltip("converged:N"),
    ]
    layers = [
        parts.context_layer(*titles),
        parts.layer(
            alt.MarkDef(type="area", style="band"),
            {**lines, "y": alt.Y("low:Q", title=titles[1]), "y2": alt.Y2("high"), "color": colour},
            transform=means,
        ),
        parts.layer(
            alt.MarkDef(type="line"),
            {**lines, "color": colour, "strokeDash": parts.dash("series", series)},
            transform=means,
            params=[parts.zoom()],
        ),
        parts.layer(
            alt.MarkDef(type="point", filled=False),
            {
                "x": x_axis,
                "y": alt.Y("value:Q", title=titles[1]),
                **parts.marker("series", series),
                "tooltip": told,
            },
            transform=[parts.shown("series")],
        ),
    ]
    if shaded is not None:
        layers.insert(0, _shade(*shaded, titles[0]))
    return parts.facets(panels, layers, PANEL, _COLUMNS)


def described(frame: pd.DataFrame, x: str, y: str, most: int = 12) -> str:
    """What a frame of lines shows, in words: where each begins and ends."""
    means = frame.groupby(["mechanism", "part", x], sort=False)["value"].mean().reset_index()
    told = []
    for (mechanism, part), line in means.groupby(["mechanism", "part"], sort=False):
        name = f"{mechanism}, {part}" if part else str(mechanism)
        ends = line.sort_values(x)["value"]
        told.append(f"{name} from {ends.iloc[0]:.4g} to {ends.iloc[-1]:.4g}")
    more = f"; and {len(told) - most} more" if len(told) > most else ""
    return f"{y} by {x}: {'; '.join(told[:most])}{more}."


def context(frame: pd.DataFrame, x: str) -> pd.DataFrame:
    """The means of all lines, for the background of each panel."""
    return parts.grey_lines(frame, ["mechanism", "part"], x, "value")


def shared_points(frame: pd.DataFrame, x: str) -> pd.DataFrame:
    """The rows of a frame at those x that all seeds of a line have, so that means are of the same
    seeds all along it."""
    line = ["mechanism", "part"]
    seeds = frame.groupby(line, sort=False)["seed"].transform("nunique")
    here = frame.groupby([*line, x], sort=False)["seed"].transform("nunique")
    return frame[here == seeds].reset_index(drop=True)


def _means(x: str) -> alt.AggregateTransform:
    return parts.aggregate("value", _MEAN, ["panel", "series", "mechanism", "part", x])


def _shade(start: float, end: float, title: str) -> alt.UnitSpec:
    return parts.layer(
        alt.MarkDef(type="rect", style="shade"),
        {"x": alt.X("from:Q", title=title), "x2": alt.X2("to")},
        data=alt.InlineData(values=[{"from": start, "to": max(start, end)}]),
    )

"""Small multiples of lines: one panel per attention, its own lines in colour, all others in grey.

Many lines in one chart cannot be told apart. A line is the mean over seeds, the band about it
reaches from the lowest seed to the highest, and the points are the seeds; where a frame brings
ends of its own, a line has one value at each point, and they are its band.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import altair as alt
import pandas as pd

from bench.store.result import Result
from reports.figures import Figure
from reports.figures import chart_parts as parts
from reports.figures.series import score_name
from reports.figures.theme import Style
from reports.statistics import Analysis

#: Columns of the frame besides x: one row for each seed at each point of each line. `panel` is the
#: attention, `series` what is told apart by colour, `part` tells lines of one mechanism apart.
COLUMNS = ("panel", "series", "mechanism", "part", "seed", "converged", "value")
#: Width and height of a panel in pixels.
PANEL = (164, 104)
#: Least width of a panel on a page: two of them fit a phone.
LEAST = 132
#: At most so many contenders have lines, best first, so that pages stay small.
CONTENDERS = 40
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
    banded: bool = False,
) -> alt.TopLevelFacetSpec:
    """The layout for frames with the columns `COLUMNS` and one for x.

    Args:
        panels: in their order.
        x: name of that column.
        titles: of both axes.
        series: names and styles in the order of the legend.
        shaded: the part of x whose ground is shaded ("longer than in training").
        banded: the frame has the columns `low` and `high`.
    """
    x_title, y_title = titles
    x_axis = alt.X(
        x,
        type="quantitative",
        title=x_title,
        scale=alt.Scale(zero=False, nice=False, padding=parts.EDGE),
        axis=alt.Axis(tickMinStep=1),
    )
    y_axis = alt.Y(
        "value" if banded else "mean",
        type="quantitative",
        title=y_title,
        scale=alt.Scale(zero=from_zero, nice=False, padding=parts.EDGE),
    )
    detail = [alt.Detail(name, type="nominal") for name in ("mechanism", "part")]
    colour = parts.colour("series", series)
    lines: dict[str, Any] = {"x": x_axis, "y": y_axis, "detail": detail, "color": colour}
    shown = parts.shown("series")
    over_seeds = parts.aggregate("value", _MEAN, ["panel", "series", "mechanism", "part", x])
    value = [
        alt.Tooltip(x, type="quantitative", title=x_title),
        alt.Tooltip("value:Q", title=y_title, format=",.4~g"),
    ]
    if banded:
        ends = [
            alt.Tooltip(f"{end}:Q", title=title, format=",.4~g")
            for end, title in (("low", "95 % from"), ("high", "to"))
        ]
        told = [alt.Tooltip("mechanism:N"), *value, *ends]
    else:
        told = [
            alt.Tooltip("mechanism:N"),
            alt.Tooltip("part:N", title="of"),
            alt.Tooltip("seed:N"),
            *value,
            alt.Tooltip("converged:N"),
        ]
    layers = [
        parts.context_layer(*titles),
        parts.layer(
            alt.MarkDef(type="area", style="band"),
            {**lines, "y": alt.Y("low:Q", title=y_title), "y2": alt.Y2("high")},
            transform=[shown, alt.FilterTransform("isValid(datum.low)") if banded else over_seeds],
        ),
        parts.layer(
            alt.MarkDef(type="line"),
            {**lines, "strokeDash": parts.dash("series", series)},
            transform=[shown] if banded else [shown, over_seeds],
            params=[parts.zoom()],
        ),
        parts.layer(
            alt.MarkDef(type="point", filled=False),
            {
                "x": x_axis,
                "y": alt.Y("value:Q", title=y_title),
                **parts.marker("series", series),
                "tooltip": told,
            },
            transform=[shown],
        ),
    ]
    if shaded is not None:
        start, end = shaded
        ground = alt.InlineData(values=[{"from": start, "to": max(start, end)}])
        at = {"x": alt.X("from:Q", title=x_title), "x2": alt.X2("to")}
        layers.insert(0, parts.layer(alt.MarkDef(type="rect", style="shade"), at, data=ground))
    return parts.facets(panels, layers, PANEL, _COLUMNS)


def lines_frame(
    analysis: Analysis, x: str, points: Callable[[Result], Iterable[tuple[str, float, float]]]
) -> pd.DataFrame:
    """The points of every seed of the contenders that have lines, where all seeds of a line have
    one.

    Args:
        points: of a result: part, x and value.
    """
    best = sorted(analysis.order[:CONTENDERS])
    rows = [
        (*name, part, seed, result.converged, value, at)
        for one in (analysis.frame.contenders[place] for place in best)
        for name in [(one.attention, score_name(one.score), one.name)]
        for seed, result in zip(one.seeds, one.done, strict=True)
        for part, at, value in points(result)
    ]
    return shared_points(pd.DataFrame(rows, columns=[*COLUMNS, x]), x)


def lines_figure(
    name: str,
    title: str,
    caption: str,
    frame: pd.DataFrame,
    titles: tuple[str, str],
    series: dict[str, Style],
    **told: Any,
) -> Figure:
    """The figure of a frame of lines, whose last column but its ends is x.

    Args:
        told: what `line_panels` takes besides.
    """
    x = next(one for one in frame.columns if one not in (*COLUMNS, "low", "high"))
    panels = tuple(map(str, frame["panel"].unique()))
    return Figure(
        name,
        title,
        caption,
        described(frame, x, titles[1]),
        line_panels(panels, x, titles, tuple(series.items()), **told),
        frame,
        series,
        LEAST,
        context(frame, x),
    )


def panels_caption(analysis: Analysis) -> str:
    """How to read panels of lines."""
    done = sum(bool(one.done) for one in analysis.frame.contenders)
    left_out = f" The {CONTENDERS} best of {done} are drawn." if done > CONTENDERS else ""
    seeds = "Lines are means over seeds, bands reach from the lowest seed to the highest. "
    several = any(len(one.done) > 1 for one in analysis.frame.contenders)
    return (
        f"One panel per attention, all other attentions in grey. {seeds if several else ''}"
        f"Hollow: training had not converged.{left_out}"
    )


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

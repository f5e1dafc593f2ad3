"""Quality against cost: a scatter plot with its Pareto front for each cost that was measured."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import altair as alt
import numpy as np
import pandas as pd

from reports import formats
from reports.figures import Figure
from reports.figures import chart_parts as parts
from reports.figures.series import Styles, axis_name, metric_scale, score_name
from reports.figures.theme import Style
from reports.statistics import LEADING, Analysis
from reports.tables import UNCONVERGED, mean_known

#: Columns of the frame: one row for each mechanism and cost. `front` counts the mechanisms of the
#: Pareto front, the cheapest first; `label` is "" where a name found no room.
COLUMNS = (
    *("cost", "mechanism", "attention", "score", "converged", "seeds"),
    *("amount", "value", "low", "high", "front", "label"),
)


class Kind(NamedTuple):
    """A kind of cost: the field of a result's cost, whether less of it is better, and its unit."""

    field: str
    lower: bool = True
    unit: float = 1.0


COSTS = {
    "training seconds": Kind("train_seconds"),
    "parameters": Kind("parameters"),
    "decoded examples per second": Kind("decode_examples_per_second", lower=False),
    "peak memory (MiB)": Kind("peak_memory_bytes", unit=2.0**20),
}
_WIDTH, _HEIGHT = 330, 230
_LEAST = 270  # on a phone
_ROOM = 20  # pixels between the outermost points and the edges
_LINE, _LETTER = 12, 5.4  # pixels that a name takes, high and a letter wide


def layout(frame: pd.DataFrame, metric: str, series: dict[str, Style]) -> parts.Layout:
    """The layout of a frame with the columns `COLUMNS`: a panel for each cost."""
    amounts = frame.groupby("cost", sort=False)["amount"]
    panels = tuple((str(title), _is_wide(own.tolist())) for title, own in amounts)
    return _layout(panels, metric, tuple(series.items()))


@parts.layout
def _layout(
    panels: tuple[tuple[str, bool], ...], metric: str, series: parts.Series
) -> alt.TopLevelConcatSpec:
    """Costs, with whether the axis of each is logarithmic."""
    return parts.panels([_panel(title, wide, metric, series) for title, wide in panels], 2)


def _panel(title: str, wide: bool, metric: str, series: parts.Series) -> alt.LayerSpec:
    note = "less is better" if COSTS[title].lower else "more is better"
    y_title = axis_name(metric)
    x = alt.X(
        "amount:Q",
        title=f"{title}, {note}{', logarithmic' if wide else ''}",
        scale=alt.Scale(
            type="log" if wide else "linear",
            zero=alt.Undefined if wide else False,
            nice=False,
            padding=_ROOM,
        ),
        axis=alt.Axis(format="~s"),
    )
    y_scale = alt.Scale(zero=False, nice=False, padding=_ROOM)

    def y(field: str) -> alt.Y:
        return alt.Y(field, type="quantitative", title=y_title, scale=y_scale)

    told = [
        alt.Tooltip("mechanism:N"),
        alt.Tooltip("value:Q", title=y_title, format=",.4~g"),
        alt.Tooltip("low:Q", title="95 % from", format=",.4~g"),
        alt.Tooltip("high:Q", title="to", format=",.4~g"),
        alt.Tooltip("amount:Q", title=title, format=",.4~g"),
        alt.Tooltip("seeds:Q"),
        alt.Tooltip("converged:N"),
    ]
    own, visible = alt.FilterTransform(f"datum.cost === {json.dumps(title)}"), parts.shown("score")
    texts: list[tuple[dict[str, Any], str]] = [
        # On the front names stand where nothing better is, the others to the right.
        ({"dx": 5, "dy": -7, "fontWeight": 600}, "isValid(datum.front)"),
        ({"dx": 7, "style": "note"}, "!isValid(datum.front)"),
    ]
    return alt.LayerSpec(
        layer=[
            parts.layer(
                alt.MarkDef(
                    type="line", style="quiet", strokeDash=[4, 3], interpolate="step-after"
                ),
                {"x": x, "y": y("value"), "order": alt.Order("front:Q")},
                transform=[alt.FilterTransform("isValid(datum.front)")],
            ),
            parts.layer(
                alt.MarkDef(type="rule", opacity=0.55),
                {
                    "x": x,
                    "y": y("low"),
                    "y2": alt.Y2("high"),
                    "color": parts.colour("score", series),
                },
                transform=[visible],
            ),
            parts.layer(
                alt.MarkDef(type="point", filled=False, size=48),
                {"x": x, "y": y("value"), **parts.marker("score", series), "tooltip": told},
                transform=[visible],
                params=[parts.zoom(f"zoom_{len(title)}")],
            ),
            *(
                parts.layer(
                    alt.MarkDef(type="text", align="left", clip=False, **mark),
                    {"x": x, "y": y("value"), "text": alt.Text("label:N")},
                    transform=[visible, alt.FilterTransform(which)],
                )
                for mark, which in texts
            ),
        ],
        transform=[own],
        title=f"{y_title} against {title}",
        width=_WIDTH,
        height=_HEIGHT,
    )


class _Point(NamedTuple):
    """The first of `COLUMNS`: what does not depend on the others that are drawn."""

    cost: str
    mechanism: str
    attention: str
    score: str
    converged: bool | None
    seeds: int
    amount: float
    value: float
    low: float | None
    high: float | None


def cost_frame(analysis: Analysis) -> pd.DataFrame:
    """The main metric with its interval, and the costs, of the mechanisms that are drawn: those
    on the front and the best of the others, so that pages stay small. Means over seeds,
    percentages for fractions."""
    better, scale = analysis.frame.higher_is_better, metric_scale(analysis.frame.main_metric)
    rows: list[tuple[Any, ...]] = []
    for title, kind in COSTS.items():
        found: list[_Point] = []
        for one, estimate in zip(analysis.frame.contenders, analysis.main.estimates, strict=True):
            amount, _ = mean_known([getattr(result.cost, kind.field) for result in one.done])
            if estimate is not None and amount is not None:
                low, high = (
                    None if end is None else end * scale for end in (estimate.low, estimate.high)
                )
                score = score_name(one.score)
                name = (title, one.name, one.attention, score, one.converged, estimate.seeds)
                found.append(_Point(*name, amount / kind.unit, estimate.value * scale, low, high))
        if len(found) > 1:
            rows += _drawn(found, kind.lower, better)
    return pd.DataFrame(rows, columns=list(COLUMNS))


def quality_against_cost(analysis: Analysis, styles: Styles) -> Figure | None:
    """The figure of a setting; None where no cost of two mechanisms was measured."""
    frame = cost_frame(analysis)
    if frame.empty:
        return None
    metric = analysis.frame.main_metric
    series = styles.of(frame["score"])
    front = frame[frame["front"].notna()].sort_values("front")
    named = "; ".join(
        f"{title}: {', '.join(one['mechanism'])}"
        for title, one in front.groupby("cost", sort=False)
    )
    return Figure(
        f"{analysis.frame.setting.slug}-cost",
        f"{formats.title(metric)}{' (%)' if formats.is_fraction(metric) else ''} against cost",
        "Means over seeds with 95 % intervals. The dashed line joins what nothing else beats in "
        f"one respect without losing in the other (the Pareto front). Hollow and {UNCONVERGED}: "
        f"training had not converged. Of more than {LEADING} mechanisms the best and those on the "
        "front are drawn.",
        f"On the Pareto front of {axis_name(metric)}, from the cheapest, by {named}.",
        layout(frame, metric, series),
        frame,
        series,
        _LEAST,
    )


def pareto_front(
    points: Sequence[tuple[float, float]], *, lower_x: bool, higher_y: bool
) -> list[int]:
    """Places of the points that no other beats in one respect without losing in the other,
    cheapest first. Of points equal in both, all are on the front."""
    # Of both, less is better.
    signed = np.array(points, float) * (1 if lower_x else -1, -1 if higher_y else 1)  # n,2
    one, other = signed[:, None], signed[None]
    beaten = np.any((other <= one).all(axis=2) & (other < one).any(axis=2), axis=1).tolist()
    cost, merit = signed[:, 0], -signed[:, 1]
    return [at for at in np.lexsort((merit, cost)).tolist() if not beaten[at]]


def _drawn(rows: Sequence[_Point], lower: bool, higher: bool) -> list[tuple[Any, ...]]:
    """Rows of one cost with their places on the front and their labels: those on the front and the
    best of the others."""
    points = [(row.amount, row.value) for row in rows]
    front = pareto_front(points, lower_x=lower, higher_y=higher)
    by_figure = sorted(range(len(rows)), key=lambda at: -points[at][1] if higher else points[at][1])
    kept = {*front, *by_figure[:LEADING]}
    order = [*front, *(at for at in by_figure if at in kept and at not in front)]
    names = [
        f"{row.attention}{f' {UNCONVERGED}' if row.converged is False else ''}" for row in rows
    ]
    ends = [end for one in rows for end in (one.value, one.low, one.high) if end is not None]
    labelled = _with_room(points, names, order, set(front), ends)
    return [
        (*rows[at], front.index(at) if at in front else None, names[at] if at in labelled else "")
        for at in sorted(kept)
    ]


def _with_room(
    points: Sequence[tuple[float, float]],
    names: Sequence[str],
    order: Sequence[int],
    front: set[int],
    ends: Sequence[float],
) -> set[int]:
    """Places of the points whose names find room beside them, tried in this order. Pages may draw
    panels wider than they are here, not narrower, so what is apart here is apart there."""
    amounts = [x for x, _ in points]
    scaled = [math.log10(x) for x in amounts] if _is_wide(amounts) else amounts
    left = _pixels(scaled, _WIDTH, scaled)
    top = [_HEIGHT - y for y in _pixels([y for _, y in points], _HEIGHT, ends)]
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in zip(left, top, strict=True)]
    found: set[int] = set()
    for at in order:
        x, y = (left[at] + 5, top[at] - 7) if at in front else (left[at] + 7, top[at])
        box = (x, y - _LINE / 2, x + len(names[at]) * _LETTER, y + _LINE / 2)
        others = [one for place, one in enumerate(taken) if place != at]
        if box[2] <= _WIDTH + 20 and not any(_overlap(box, one) for one in others):
            found.add(at)
            taken.append(box)
    return found


def _pixels(values: Sequence[float], length: int, ends: Sequence[float]) -> list[float]:
    low, high = min(ends), max(ends)
    return [_ROOM + (one - low) / ((high - low) or 1.0) * (length - 2 * _ROOM) for one in values]


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _is_wide(amounts: Sequence[float]) -> bool:
    """Whether costs differ so much that a logarithmic axis shows them better."""
    return min(amounts) > 0 and max(amounts) / min(amounts) > 3

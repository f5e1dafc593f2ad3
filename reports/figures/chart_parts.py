"""What charts have in common: scales of series, legend toggles, zoom, and how data come in.

A report has a hundred charts, many of one form, and Altair takes up to half a second for each that
it builds by chains of methods, which validate and copy at every step. So a chart without its data
(its layout) is written once for all data of the same form, from Altair's classes for the parts of a
specification; `specification` puts a frame in. Tests validate each kind of chart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, wraps
from typing import Any, Literal, ParamSpec

import altair as alt
import pandas as pd
from altair.utils.schemapi import debug_mode

from reports.figures.theme import Style, config

#: The parameter that holds the names of the series that a reader has hidden.
HIDDEN = "hidden"
#: Pixels between panels.
SPACING = 22
#: Pixels that scales leave at their ends, so that no marker is cut.
EDGE = 6
#: Names of a chart's data in its specification: its rows, and the lines in the background.
ROWS, CONTEXT = "rows", "context"
#: Significant digits of the numbers in a specification.
_DIGITS = 6

Series = tuple[tuple[str, Style], ...]
#: A chart in Vega-Lite without its data, not to be changed.
Layout = Mapping[str, Any]
P = ParamSpec("P")


def layout(build: Callable[P, alt.SchemaBase]) -> Callable[P, Layout]:
    """Decorates a function that builds a chart without its data: it is written in Vega-Lite, once
    for the same arguments, and without validating each part."""

    @lru_cache(maxsize=256)
    @wraps(build)
    def built(*args: P.args, **kwargs: P.kwargs) -> Layout:
        with debug_mode(False):
            written = build(*args, **kwargs).to_dict(validate=False)
        return {"$schema": alt.SCHEMA_URL, **written}

    return built  # type: ignore[return-value]


def named(name: str = ROWS) -> alt.NamedData:
    """Data of a layout."""
    return alt.NamedData(name=name)


def specification(
    layout: Layout, frame: pd.DataFrame, context: pd.DataFrame | None = None
) -> dict[str, Any]:
    """A layout with its data in Vega-Lite."""
    frames = {ROWS: frame} if context is None else {ROWS: frame, CONTEXT: context}
    return {**layout, "datasets": {name: _records(one) for name, one in frames.items()}}


def grey_lines(frame: pd.DataFrame, lines: Sequence[str], x: str, y: str) -> pd.DataFrame:
    """All lines of a frame, at the mean of the rows of each x, as one that is broken between them:
    columns `x`, `y` (none where it breaks) and `place`. Vega draws one line many times faster."""
    means = frame.groupby([*lines, x], sort=True)[y].mean().reset_index()
    found: list[tuple[float, float | None]] = []
    for _, line in means.groupby(list(lines), sort=False):
        found += [*zip(line[x], line[y], strict=True), (float(line[x].iloc[-1]), None)]
    return pd.DataFrame(found, columns=["x", "y"]).assign(place=range(len(found)))


def context_layer(x_title: str, y_title: str) -> alt.UnitSpec:
    """The layer of `grey_lines`."""
    return layer(
        alt.MarkDef(type="line", style="context"),
        {
            "x": alt.X("x:Q", title=x_title),
            "y": alt.Y("y:Q", title=y_title),
            "order": alt.Order("place:Q"),  # not along x
        },
        data=named(CONTEXT),
    )


def columns(frame: pd.DataFrame) -> dict[str, Any]:
    """The data of a chart as columns, small enough for a page: numbers as they are, and of texts
    each once (`labels`) with the place of each row's (`codes`)."""
    packed: dict[str, Any] = {}
    for name in frame.columns:
        values = _values(frame[name])
        if any(isinstance(one, str) for one in values):
            labels = dict.fromkeys(values)
            places = {label: place for place, label in enumerate(labels)}
            packed[str(name)] = {"labels": list(labels), "codes": [places[one] for one in values]}
        else:
            packed[str(name)] = values
    return packed


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    names = [str(name) for name in frame.columns]
    rows = zip(*(_values(frame[name]) for name in frame.columns), strict=True)
    return [dict(zip(names, row, strict=True)) for row in rows]


def inline(frame: pd.DataFrame) -> alt.InlineData:
    """Data that belong to a layout."""
    return alt.InlineData(values=_records(frame))


def _values(column: pd.Series) -> list[Any]:
    """Values that JSON has: what is not known as None, numbers without idle digits."""
    return [_plain(value) for value in column.tolist()]


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return None if value != value else float(f"{value:.{_DIGITS}g}")
    return value


def hidden() -> alt.VariableParameter:
    """The parameter that pages set when a series is clicked in the legend."""
    return alt.VariableParameter(name=HIDDEN, value=[])


def shown(field: str) -> alt.FilterTransform:
    """A filter for rows whose series is not hidden."""
    return alt.FilterTransform(f"indexof({HIDDEN}, datum[{field!r}]) < 0")


def zoom(name: str = "zoom", *axes: Literal["x", "y"]) -> alt.SelectionParameter:
    """Moves and stretches the axes while Shift is held, so that pages scroll as ever.

    Args:
        axes: those with a continuous scale, where not both have one.
    """
    return alt.SelectionParameter(
        name=name,
        select=alt.IntervalSelectionConfig(
            type="interval",
            encodings=list(axes) or alt.Undefined,
            zoom="wheel![event.shiftKey]",
            translate="[pointerdown[event.shiftKey], window:pointerup] > window:pointermove!",
        ),
        bind="scales",
    )


def aggregate(
    field: str, operations: Sequence[tuple[str, str]], by: Sequence[str]
) -> alt.AggregateTransform:
    """Aggregates of a field by groups; each of the operations has the name of its result."""
    made: Any = alt.AggregatedFieldDef  # of which `as` is no name in Python
    found = [made(op=operation, field=field, **{"as": name}) for operation, name in operations]
    return alt.AggregateTransform(aggregate=found, groupby=list(by))


def colour(field: str, series: Series) -> alt.Color:
    """Colours of series; all channels of a field have the same domain, so that Vega draws one
    legend for them."""
    return alt.Color(field, type="nominal", title=None, scale=_scale(series, "colour"))


def dash(field: str, series: Series) -> alt.StrokeDash:
    """Dash patterns of series."""
    return alt.StrokeDash(field, type="nominal", title=None, scale=_scale(series, "dash"))


def marker(field: str, series: Series) -> dict[str, Any]:
    """Channels of the points of series: filled, but hollow where training had not converged."""
    return {
        "color": colour(field, series),
        "fill": alt.Fill(field, type="nominal", title=None, scale=_scale(series, "colour")),
        "shape": alt.Shape(field, type="nominal", title=None, scale=_scale(series, "marker")),
        "fillOpacity": alt.FillOpacityValue(
            1, condition={"test": "datum.converged === false", "value": 0}
        ),
    }


def layer(
    mark: alt.MarkDef, encoding: Mapping[str, Any], data: Any = alt.Undefined, **others: Any
) -> alt.UnitSpec:
    """One layer of a chart."""
    return alt.UnitSpec(data=data, mark=mark, encoding=alt.FacetedEncoding(**encoding), **others)


def panels(charts: Sequence[alt.LayerSpec], most: int) -> alt.TopLevelConcatSpec:
    """Charts beside each other, each with its own scales, at most so many in a row."""
    return alt.TopLevelConcatSpec(
        data=named(),
        concat=list(charts),
        columns=min(most, len(charts)),
        params=[hidden()],
        spacing=SPACING,
        config=config(),
    )


def facets(
    names: Sequence[str], layers: Sequence[alt.UnitSpec], size: tuple[int, int], most: int
) -> alt.TopLevelFacetSpec:
    """The same layers for each value of `panel`, at most so many beside each other."""
    return alt.TopLevelFacetSpec(
        data=named(),
        spec=alt.LayerSpec(layer=list(layers), width=size[0], height=size[1]),
        facet=alt.Facet("panel:N", sort=list(names), title=None),
        columns=min(most, len(names)),
        params=[hidden()],
        spacing=SPACING,
        # Each panel its own, as the last row may be short.
        resolve=alt.Resolve(axis={"x": "independent"}),
        config=config(),
    )


def _scale(series: Series, what: str) -> alt.Scale:
    values = [getattr(one, what) for _, one in series]
    return alt.Scale(
        domain=[name for name, _ in series],
        range=[list(one) if what == "dash" else one for one in values],
    )

"""Charts as drawings: small line panels with shared axes, and scatter plots with a front.

Many series in one chart cannot be told apart, so lines are drawn as small multiples: one panel
per attention, its own series in colour, all others in grey behind them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from reports import formats
from reports.figures import (
    Box,
    Drawing,
    Marker,
    Path,
    Point,
    Shape,
    Style,
    Text,
    shortened,
    text_width,
)

PANEL = (196.0, 142.0)
_LEFT, _RIGHT, _TOP, _BOTTOM = 34.0, 8.0, 24.0, 30.0
_SIZE = 11.0

# The scatter plots.
_SPOT_WIDTH, _SPOT_HEIGHT = 380.0, 270.0
_SPOT_LEFT, _SPOT_RIGHT, _SPOT_TOP, _SPOT_BOTTOM = 40.0, 14.0, 26.0, 34.0
_SPOT_SIZE = 10.5
_LABELLED = 60  # more labels than this never find room

Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True)
class Scale:
    """From figures to pixels, linear or by powers of ten."""

    low: float
    high: float
    start: float
    end: float
    logarithmic: bool = False

    def __call__(self, value: float) -> float:
        low, high, at = self.low, self.high, value
        if self.logarithmic:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(at, 1e-300))
        share = (at - low) / (high - low) if high > low else 0.5
        return self.start + share * (self.end - self.start)


@dataclass(frozen=True)
class Series:
    """A line: its name, the panel it belongs to, its points and how it is drawn."""

    name: str
    panel: str
    points: tuple[Point, ...]
    style: Style


@dataclass(frozen=True)
class Axes:
    """What all panels of a figure share.

    Attributes:
        shaded_from: x from which the ground is shaded ("longer than in training").
    """

    x_label: str
    y_label: str
    shaded_from: float | None = None
    from_zero: bool = False


def line_panels(series: Sequence[Series], axes: Axes) -> list[Drawing]:
    """One panel for each panel name, in order of appearance; all with the same scales."""
    points = [point for one in series for point in one.points]
    if not points:
        return []
    x = padded_scale([point[0] for point in points], _LEFT, PANEL[0] - _RIGHT, pad=0.03)
    y_values = [point[1] for point in points] + ([0.0] if axes.from_zero else [])
    y = padded_scale(y_values, PANEL[1] - _BOTTOM, _TOP, pad=0.06)
    names = dict.fromkeys(one.panel for one in series)
    return [_panel(name, series, axes, x, y) for name in names]


def _panel(name: str, series: Sequence[Series], axes: Axes, x: Scale, y: Scale) -> Drawing:
    own = [one for one in series if one.panel == name]
    shapes: list[Shape] = []
    if axes.shaded_from is not None and x.low < axes.shaded_from < x.high:
        left = x(axes.shaded_from)
        shapes.append(Box(left, _TOP, x.end - left, PANEL[1] - _BOTTOM - _TOP, "shade"))
    shapes += _frame(x, y, axes.x_label)
    shapes += [_line(one, x, y, context=True) for one in series if one.panel != name]
    for one in own:
        shapes.append(_line(one, x, y, context=False))
        shapes += [
            Marker(x(a), y(b), one.style.marker, one.style.role, 2.4, _point_title(one, axes, a, b))
            for a, b in one.points
        ]
    shapes.append(Text(_LEFT, 14, shortened(name, 26), bold=True, size=12))
    described = "; ".join(
        f"{one.name} from {formats.count(one.points[0][1])} to {formats.count(one.points[-1][1])}"
        for one in own
        if one.points
    )
    title = f"{axes.y_label} by {axes.x_label}: {name}"
    return Drawing(*PANEL, tuple(shapes), title, f"{title}: {described}.")


def _line(one: Series, x: Scale, y: Scale, *, context: bool) -> Path:
    points = tuple((x(a), y(b)) for a, b in one.points)
    if context:
        return Path(points, "context", 1.0, opacity=0.7)
    return Path(points, one.style.role, 1.8, one.style.dash)


def _point_title(one: Series, axes: Axes, a: float, b: float) -> str:
    return f"{one.name}: {axes.y_label} {formats.count(b)} at {axes.x_label} {formats.count(a)}"


def _frame(x: Scale, y: Scale, x_label: str) -> list[Shape]:
    """Grid lines with their figures, and the name of the x axis."""
    shapes: list[Shape] = []
    for value in ticks(y, 4):
        shapes.append(Path(((x.start, y(value)), (x.end, y(value))), "grid"))
        shapes.append(
            Text(x.start - 5, y(value) + 3.5, formats.short(value), "muted", "end", _SIZE - 1)
        )
    bottom = y.start
    shapes.append(Path(((x.start, bottom), (x.end, bottom)), "context"))
    shown = ticks(x, 4 if x.end - x.start < 220 else 6)
    for value in shown:
        shapes.append(Path(((x(value), bottom), (x(value), bottom + 3)), "context"))
        shapes.append(
            Text(x(value), bottom + 13, formats.short(value), "muted", "middle", _SIZE - 1)
        )
    shapes.append(Text((x.start + x.end) / 2, bottom + 26, x_label, "muted", "middle", _SIZE - 1))
    return shapes


def legend_width(name: str) -> float:
    """Pixels that one entry of a legend takes."""
    return 40 + text_width(name, _SIZE)


def legend(entries: Sequence[tuple[str, Style]], width: float) -> Drawing:
    """Names with their line and marker, in as many rows as the width asks for."""
    shapes: list[Shape] = []
    left, top = 0.0, 12.0
    for name, style in entries:
        needed = legend_width(name) + 10
        if left and left + needed > width:
            left, top = 0.0, top + 18
        shapes.append(Path(((left, top - 4), (left + 28, top - 4)), style.role, 1.8, style.dash))
        shapes.append(Marker(left + 14, top - 4, style.marker, style.role, 3))
        shapes.append(Text(left + 34, top, name, "muted", size=_SIZE))
        left += needed
    return Drawing(width, top + 8, tuple(shapes), "Legend")


def ticks(scale: Scale, about: int) -> list[float]:
    """Round figures inside a scale, about so many."""
    if scale.logarithmic:
        return _log_ticks(scale, about)
    span = scale.high - scale.low
    if span <= 0:
        return [scale.low]
    rough = span / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.99)
    first = math.ceil(scale.low / step - 1e-9)
    last = math.floor(scale.high / step + 1e-9)
    return [place * step for place in range(first, last + 1)]


def _log_ticks(scale: Scale, about: int) -> list[float]:
    low, high = math.floor(math.log10(scale.low)), math.ceil(math.log10(scale.high))
    for factors in ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 8)):
        found = [factor * 10.0**power for power in range(low, high + 1) for factor in factors]
        inside = [value for value in found if scale.low <= value <= scale.high]
        if len(inside) >= min(3, about):
            break
    spread = max(1, math.ceil(len(inside) / (about + 1)))
    return inside[::spread]


def padded_scale(
    values: Sequence[float],
    start: float,
    end: float,
    *,
    pad: float = 0.09,
    logarithmic: bool = False,
) -> Scale:
    """A scale that shows all values with some room at both ends."""
    low, high = min(values), max(values)
    if logarithmic:
        ratio = max((high / low) ** pad, 1.15)
        return Scale(low / ratio, high * ratio, start, end, logarithmic=True)
    room = (high - low) * pad or abs(high) * 0.1 or 1.0
    # Room below zero would suggest negative figures where there are none.
    return Scale(max(low - room, 0.0) if low >= 0 else low - room, high + room, start, end)


@dataclass(frozen=True)
class Spot:
    """A contender: its cost, its figure with interval, and how it is drawn."""

    name: str
    label: str
    x: float
    y: float
    low: float | None
    high: float | None
    style: Style


def pareto_front(
    points: Sequence[tuple[float, float]], *, lower_x: bool, higher_y: bool
) -> list[int]:
    """Places of the points that no other beats in one respect without losing in the other,
    cheapest first. Of points equal in both, all are on the front."""
    cost = [x if lower_x else -x for x, _ in points]
    merit = [y if higher_y else -y for _, y in points]
    front = [
        i
        for i in range(len(points))
        if not any(
            cost[j] <= cost[i]
            and merit[j] >= merit[i]
            and (cost[j] < cost[i] or merit[j] > merit[i])
            for j in range(len(points))
        )
    ]
    return sorted(front, key=lambda i: (cost[i], merit[i]))


def scatter(
    spots: Sequence[Spot],
    *,
    title: str,
    x_label: str,
    y_label: str,
    lower_x: bool,
    higher_y: bool,
) -> Drawing:
    """The plot. Spots on the front are joined and labelled first; labels that find no room are
    left to the tooltip and the table."""
    assert spots, "nothing to draw"
    costs = [spot.x for spot in spots]
    wide = min(costs) > 0 and max(costs) / min(costs) > 3
    x = padded_scale(costs, _SPOT_LEFT, _SPOT_WIDTH - _SPOT_RIGHT, logarithmic=wide)
    ends = [end for spot in spots for end in (spot.y, spot.low, spot.high) if end is not None]
    y = padded_scale(ends, _SPOT_HEIGHT - _SPOT_BOTTOM, _SPOT_TOP)
    front = pareto_front([(spot.x, spot.y) for spot in spots], lower_x=lower_x, higher_y=higher_y)
    note = ", logarithmic" if wide else ""
    shapes: list[Shape] = _frame(x, y, f"{x_label}{note}")
    shapes.append(Text(4, 14, title, bold=True, size=12))
    line = _staircase([(x(spots[place].x), y(spots[place].y)) for place in front])
    if len(line) > 1:
        shapes.append(Path(line, "muted", 1.2, "4 3"))
    for spot in spots:
        shapes += _spot(spot, x(spot.x), y(spot.y), y, y_label, x_label)
    order = [*front, *(place for place in range(len(spots)) if place not in front)]
    places = [(x(spot.x), y(spot.y)) for spot in spots]
    shapes += _labels(spots, places, order, set(front), line)
    named = ", ".join(spots[place].name for place in front)
    return Drawing(
        _SPOT_WIDTH,
        _SPOT_HEIGHT,
        tuple(shapes),
        f"{y_label} against {x_label}",
        f"On the front: {named}.",
    )


def _staircase(corners: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """A front as steps: between two of its points nothing better than the cheaper one is known."""
    steps = list(corners[:1])
    for (_, before), (left, top) in pairwise(corners):
        steps += [(left, before), (left, top)]
    return tuple(steps)


def _spot(spot: Spot, left: float, top: float, y: Scale, y_label: str, x_label: str) -> list[Shape]:
    shapes: list[Shape] = []
    if spot.low is not None and spot.high is not None:
        bar = ((left, y(spot.low)), (left, y(spot.high)))
        shapes.append(Path(bar, spot.style.role, 1.0, opacity=0.55))
    title = f"{spot.name}: {y_label} {formats.count(spot.y)}, {x_label} {formats.count(spot.x)}"
    shapes.append(Marker(left, top, spot.style.marker, spot.style.role, 4.2, title))
    return shapes


def _labels(
    spots: Sequence[Spot],
    places: Sequence[tuple[float, float]],
    order: Sequence[int],
    front: set[int],
    line: Sequence[tuple[float, float]],
) -> list[Shape]:
    """Names beside their spots: clear of other names and spots, and of the front if possible."""
    taken: list[Rectangle] = [(a - 5, b - 5, a + 5, b + 5) for a, b in places]
    steps: list[Rectangle] = [
        (min(a, c) - 1, min(b, d) - 1, max(a, c) + 1, max(b, d) + 1)
        for (a, b), (c, d) in pairwise(line)
    ]
    shapes: list[Shape] = []
    for place in order[:_LABELLED]:
        found = _position(spots[place].label, places[place], taken, steps)
        if found is not None:
            at, below, box = found
            taken.append(box)
            bold = place in front
            role = "ink" if bold else "muted"
            shapes.append(Text(at, below, spots[place].label, role, size=_SPOT_SIZE, bold=bold))
    return shapes


def _position(
    label: str,
    place: tuple[float, float],
    taken: Sequence[Rectangle],
    steps: Sequence[Rectangle],
) -> tuple[float, float, Rectangle] | None:
    left, top = place
    width = text_width(label, _SPOT_SIZE) * 1.15  # some are bold
    options = (
        (left + 7, top + 3.5),
        (left - 7 - width, top + 3.5),
        (left + 6, top - 6),
        (left + 6, top + 13),
        (left - 6 - width, top - 6),
        (left - 6 - width, top + 13),
        (left - width / 2, top - 8),
        (left - width / 2, top + 15),
    )
    for obstacles in ([*taken, *steps], taken):
        for at, below in options:
            box = (at, below - 9, at + width, below + 2)
            if _inside(box) and not any(_overlap(box, other) for other in obstacles):
                return at, below, box
    return None


def _inside(box: Rectangle) -> bool:
    return (
        box[0] >= _SPOT_LEFT
        and box[1] >= _SPOT_TOP - 6
        and box[2] <= _SPOT_WIDTH
        and box[3] < _SPOT_HEIGHT - _SPOT_BOTTOM
    )


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]

"""Quality against cost: a scatter plot with the Pareto front."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from reports import formats
from reports.figures.drawing import Drawing, Marker, Path, Shape, Style, Text, text_width
from reports.figures.panels import Scale, frame, padded_scale

_WIDTH, _HEIGHT = 380.0, 270.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, 14.0, 26.0, 34.0
_SIZE = 10.5
_LABELLED = 60  # more labels than this never find room

Rectangle = tuple[float, float, float, float]


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
    x = padded_scale(costs, _LEFT, _WIDTH - _RIGHT, logarithmic=wide)
    ends = [end for spot in spots for end in (spot.y, spot.low, spot.high) if end is not None]
    y = padded_scale(ends, _HEIGHT - _BOTTOM, _TOP)
    front = pareto_front([(spot.x, spot.y) for spot in spots], lower_x=lower_x, higher_y=higher_y)
    note = ", logarithmic" if wide else ""
    shapes: list[Shape] = list(frame(x, y, f"{x_label}{note}"))
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
        _WIDTH, _HEIGHT, tuple(shapes), f"{y_label} against {x_label}", f"On the front: {named}."
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
            shapes.append(Text(at, below, spots[place].label, role, size=_SIZE, bold=bold))
    return shapes


def _position(
    label: str,
    place: tuple[float, float],
    taken: Sequence[Rectangle],
    steps: Sequence[Rectangle],
) -> tuple[float, float, Rectangle] | None:
    left, top = place
    width = text_width(label, _SIZE) * 1.15  # some are bold
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
        box[0] >= _LEFT and box[1] >= _TOP - 6 and box[2] <= _WIDTH and box[3] < _HEIGHT - _BOTTOM
    )


def _overlap(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]

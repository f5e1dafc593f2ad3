"""Attention over photos: one small copy of the photo a word, veiled where it does not look.

As in Xu 2015 (figure 3). The box of the phrase that a word belongs to is framed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from bench.trace import Trace
from reports.bitmaps import photo, veil
from reports.drawing import Box, Drawing, Group, Picture, Shape, Text, shortened

_PANEL = 82.0  # four of them fit a phone
_COLUMNS = 4
_GAP, _LABEL = 7.0, 17.0
_SIZE = 11.5
_CHARACTERS = 13
_ASPECT = (0.5, 2.0)  # flatter and steeper photos are squeezed to these

Corners = tuple[float, float, float, float]


def photo_map(trace: Trace, title: str) -> Drawing | None:
    """The attention of one caption, or None where the trace has no photo that can be shown.

    Every word is a row of the page's explorer, as in heat maps of words.
    """
    data = photo(trace.extra)
    grid = _grid(trace)
    if data is None or grid is None:
        return None
    height = _PANEL / _aspect(trace)
    phrases = _phrases(trace)
    rows, columns = grid
    everything = [box for _, _, boxes in phrases for box in boxes]
    panels: list[Shape] = [_panel("the picture", data, height, (), everything)]
    words = []
    for t, word in enumerate(trace.target):
        boxes = [box for start, end, own in phrases if start <= t < end for box in own]
        weights = trace.weights[t].reshape(rows, columns)
        cover = Picture(0, _LABEL, _PANEL, height, veil(weights))
        panel = _panel(word, data, height, (cover,), boxes)
        attributes = {
            "class": "row",
            "role": "option",
            "aria-selected": "false",
            "data-t": str(t),
            "data-word": word,
        }
        described = photo_description(trace, t)
        words.append(Group(panel.shapes, title=described, attributes=attributes))
    panels += words
    step_x, step_y = _PANEL + _GAP, height + _LABEL + _GAP
    placed = [
        Group((panel,), (place % _COLUMNS) * step_x, (place // _COLUMNS) * step_y)
        for place, panel in enumerate(panels)
    ]
    listed = {"role": "listbox", "tabindex": "0", "aria-label": title}
    across = min(_COLUMNS, len(panels))
    down = -(-len(panels) // _COLUMNS)
    return Drawing(
        across * step_x - _GAP + 2,
        down * step_y - _GAP + 2,
        (placed[0], Group(tuple(placed[1:]), attributes=listed)),
        title,
        attributes={"class": "map photo", "role": "group", "data-cell": "0"},
    )


def photo_description(trace: Trace, t: int) -> str:
    """`dog: 62 % of its weight lies in its box; most at row 3, column 4 (0.21)`."""
    weights = trace.weights[t]
    gold = [s for row, s in trace.gold or () if row == t and s < len(trace.source)]
    inside = f"{weights[gold].sum():.0%} of its weight lies in its box; " if gold else ""
    place = int(np.argmax(weights))
    columns = (_grid(trace) or (1, len(weights)))[1]
    row, column = place // columns + 1, place % columns + 1
    inside = inside.replace("%", " %")
    return f"{trace.target[t]}: {inside}most at row {row}, column {column} ({weights[place]:.2f})"


def _panel(
    word: str, data: bytes, height: float, over: tuple[Shape, ...], boxes: Sequence[Corners]
) -> Group:
    shapes: list[Shape] = [
        Text(
            0, _LABEL - 5, shortened(word, _CHARACTERS), size=_SIZE, bold=bool(boxes) and bool(over)
        ),
        Picture(0, _LABEL, _PANEL, height, data, shared=True),
        *over,
    ]
    for left, top, right, bottom in boxes:
        place = (
            left * _PANEL,
            _LABEL + top * height,
            (right - left) * _PANEL,
            (bottom - top) * height,
        )
        # A light line under the orange one: photos have any colour.
        shapes += [Box(*place, "frame", outline=3.4), Box(*place, "gold-line", outline=1.8)]
    shapes.append(Box(0, 0, _PANEL, _LABEL + height, "ground", opacity=0.0))
    return Group(tuple(shapes))


def _grid(trace: Trace) -> tuple[int, int] | None:
    shape = trace.extra.get("grid")
    if not isinstance(shape, list | tuple) or len(shape) != 2:
        return None
    rows, columns = shape
    if not (isinstance(rows, int) and isinstance(columns, int)) or min(rows, columns) < 1:
        return None
    return (rows, columns) if rows * columns == len(trace.source) else None


def _aspect(trace: Trace) -> float:
    aspect = trace.extra.get("aspect", 1.0)
    known = isinstance(aspect, int | float) and aspect > 0
    return min(max(float(aspect), _ASPECT[0]), _ASPECT[1]) if known else 1.0


def _phrases(trace: Trace) -> list[tuple[int, int, list[Corners]]]:
    """Phrases as first and last word and boxes; whatever is none is left out."""
    found = []
    for phrase in trace.extra.get("phrases") or ():
        try:
            boxes = [_corners(box) for box in phrase["boxes"]]
            found.append((int(phrase["start"]), int(phrase["end"]), boxes))
        except (KeyError, TypeError, ValueError):
            continue
    return found


def _corners(box: Sequence[float]) -> Corners:
    left, top, right, bottom = (min(max(float(edge), 0.0), 1.0) for edge in box)
    return left, top, max(left, right), max(top, bottom)

"""Attention maps: a drawing of a trace that suits its source (words, sound, or a photo).

Words are drawn as a heat map: source units lie on the x axis, target units on the y axis; a row is
what one target unit was made of. The darker a cell, the larger its weight; gold links are framed.
Every row carries its largest weights in words, for tooltips, screen readers and the page's
read-out. `audio` and `image` draw the other two.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.store.result import Trace
from reports import formats
from reports.attention_maps.audio import sound_map
from reports.attention_maps.drawing import (
    Box,
    Drawing,
    Group,
    Lines,
    Shape,
    Strip,
    Text,
    shortened,
    text_width,
)
from reports.attention_maps.image import explorer, explorer_row, gold_of, photo_map

_CELL = 18.0
_LABEL = 16  # characters of a unit that are shown; the rest is in the tooltip
_SIZE = 11.0
_TURN = 52.0  # degrees that source units are tilted by
_WIDEST = 720.0  # a matrix of many frames is squeezed to this
_VISIBLE = 0.02  # weights below are not drawn: nobody sees a fiftieth of the ink
_SEGMENT = 18.0  # room for the numbers of sentences
_TOLD = 3  # weights that a row's description names


def attention_map(trace: Trace, title: str) -> Drawing:
    """Draw a trace: photos veiled word by word, rows of weights under a spectrogram, or a matrix of
    words.

    A trace without what its picture needs (a photo, times) is drawn as a matrix of its units.
    """
    draw = {"grid": photo_map, "frames": sound_map}.get(trace.kind, heat_map)
    return draw(trace, title) or heat_map(trace, title)


@dataclass(frozen=True)
class _Grid:
    """Geometry of the cells: T rows and S columns from the corner (left, top)."""

    left: float
    top: float
    cell_x: float
    cell_y: float


def heat_map(trace: Trace, title: str) -> Drawing:
    """Draw the attention of one example as a matrix of target units by source units."""
    sources = [shortened(unit, _LABEL) for unit in trace.source]
    targets = [shortened(unit, _LABEL) for unit in trace.target]
    grid = _grid(sources, targets)
    shown_rows = range(0, len(targets), max(1, math.ceil(11 / grid.cell_y)))
    columns = range(0, len(sources), max(1, math.ceil(13 / grid.cell_x)))
    width = grid.left + grid.cell_x * len(sources)
    height = grid.top + grid.cell_y * len(targets)
    shapes: list[Shape] = [
        Box(grid.left, grid.top, width - grid.left, height - grid.top, "surface"),
        *_rules(grid, len(sources), len(targets)),
        *_segments(trace, grid, height),
        *(_source_label(sources[s], s, grid) for s in columns),
        explorer(
            [_row(trace, targets, t, grid, labelled=t in shown_rows) for t in range(len(targets))],
            title,
        ),
    ]
    over = _overhang(sources, columns, grid, width)
    return Drawing(
        over,
        height + (_SEGMENT if segments_of(trace) else 2),
        tuple(shapes),
        title,
        attributes={"class": "map", "role": "group", "data-cell": f"{grid.cell_x:.2f}"},
    )


def row_description(trace: Trace, t: int) -> str:
    """The largest weights of a target unit in words: `chien: dog 0.83, a 0.10 (gold: dog)`."""
    weights = trace.weights[t]
    order = np.argsort(-weights, kind="stable")[:_TOLD]
    told = [f"{trace.source[s]} {weights[s]:.2f}" for s in order if weights[s] >= 0.005]
    gold = [trace.source[s] for s in gold_of(trace, t)]
    marked = f" (gold: {formats.listed(gold)})" if gold else ""
    return f"{trace.target[t]}: {', '.join(told)}{marked}{_heaviest_segment(trace, weights)}"


def segments_of(trace: Trace) -> list[tuple[int, int]]:
    """Return the bounds of every segment (sentence) of the source as (first unit, end); empty
    where there is only one or none is known."""
    given = trace.extra.get("segments")
    if not isinstance(given, list) or not 0 < len(given) <= len(trace.source):
        return []
    starts = [s for s in range(len(given)) if s == 0 or given[s] != given[s - 1]]
    if len(starts) < 2:
        return []
    return list(zip(starts, [*starts[1:], len(given)], strict=True))


def _heaviest_segment(trace: Trace, weights: np.ndarray) -> str:
    segments = segments_of(trace)
    if not segments:
        return ""
    masses = [float(weights[start:end].sum()) for start, end in segments]
    most = int(np.argmax(masses))
    return f"; sentence {most + 1} has {100 * masses[most]:.0f} %"


def _segments(trace: Trace, grid: _Grid, bottom: float) -> list[Shape]:
    """Draw the borders between sentences, with their numbers below."""
    shapes: list[Shape] = []
    segments = segments_of(trace)
    borders = [grid.left + start * grid.cell_x for start, _ in segments[1:]]
    if borders:
        down = tuple(((x, grid.top - 3), (x, bottom + 4)) for x in borders)
        shapes.append(Lines(down, "muted", 1.2))
    for number, (start, end) in enumerate(segments, start=1):
        room = (end - start) * grid.cell_x
        middle = grid.left + (start + end) / 2 * grid.cell_x
        label = f"sentence {number}"
        label = label if text_width(label, _SIZE - 1) < room - 4 else str(number)
        shapes.append(Text(middle, bottom + 13, label, "muted", "middle", _SIZE - 1))
    return shapes


def _grid(sources: Sequence[str], targets: Sequence[str]) -> _Grid:
    left = max((text_width(unit, _SIZE) for unit in targets), default=0.0) + 8
    rise = math.sin(math.radians(_TURN))
    top = max((text_width(unit, _SIZE) for unit in sources), default=0.0) * rise + 14
    cell_x = min(_CELL, max(2.0, _WIDEST / max(1, len(sources))))
    cell_y = min(_CELL, max(4.0, _WIDEST / max(1, len(targets))))
    return _Grid(left, top, cell_x, cell_y)


def _overhang(sources: Sequence[str], columns: Sequence[int], grid: _Grid, width: float) -> float:
    """Return the rightmost x that the tilted source units reach."""
    slope = math.cos(math.radians(_TURN))
    ends = [
        grid.left + (s + 0.5) * grid.cell_x + text_width(sources[s], _SIZE) * slope + 6
        for s in columns
    ]
    return max([width + 2, *ends])


def _rules(grid: _Grid, sources: int, targets: int) -> list[Shape]:
    """Draw hair lines between cells that are large enough to be counted."""
    if grid.cell_x < 9 or grid.cell_y < 9:
        return []
    right, bottom = grid.left + sources * grid.cell_x, grid.top + targets * grid.cell_y
    down = [grid.left + s * grid.cell_x for s in range(sources + 1)]
    across = [grid.top + t * grid.cell_y for t in range(targets + 1)]
    lines = [((x, grid.top), (x, bottom)) for x in down]
    lines += [((grid.left, y), (right, y)) for y in across]
    return [Lines(tuple(lines), "grid", 0.8)]


def _source_label(unit: str, s: int, grid: _Grid) -> Text:
    x = grid.left + (s + 0.5) * grid.cell_x + 3
    attributes = {"class": "source", "data-s": str(s)}
    return Text(x, grid.top - 5, unit, size=_SIZE, turn=-_TURN, attributes=attributes)


def _row(trace: Trace, targets: Sequence[str], t: int, grid: _Grid, *, labelled: bool) -> Group:
    top = grid.top + t * grid.cell_y
    shapes: list[Shape] = []
    if labelled:
        middle = top + grid.cell_y / 2 + 3.8
        shapes.append(Text(grid.left - 6, middle, targets[t], anchor="end", size=_SIZE))
    cells = tuple(
        (s, min(1.0, round(float(weight), 2)))
        for s, weight in enumerate(trace.weights[t])
        if weight >= _VISIBLE
    )
    shapes.append(Strip(grid.left, top, grid.cell_x, grid.cell_y, "heat", cells))
    inset = 1.4 if min(grid.cell_x, grid.cell_y) >= 9 else 0.0
    frame = grid.cell_x - 2 * inset, grid.cell_y - 2 * inset
    shapes += [
        Box(grid.left + s * grid.cell_x + inset, top + inset, *frame, "gold", outline=1.8)
        for s in gold_of(trace, t)
    ]
    width = grid.cell_x * len(trace.source)
    # Catches the pointer over the whole row, its label included, also where nothing is drawn.
    shapes.append(Box(0, top, grid.left + width, grid.cell_y, "ground", opacity=0.0))
    return explorer_row(trace, t, shapes, row_description(trace, t))

"""Attention maps of photos: one copy of the photo a word, veiled where it does not attend.

As in Xu 2015 (figure 3). The box of the phrase that a word belongs to is framed.
"""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from bench.store.result import Trace
from reports.attention_maps.drawing import Box, Drawing, Group, Picture, Shape, Text, shortened

#: A photo of a trace may be so large, in bytes and along a side; others are not shown.
LARGEST, LONGEST = 64 * 1024, 512
#: How dark a photo gets where nothing is looked at.
_VEIL = 0.82


def photo(extra: Mapping[str, Any]) -> bytes | None:
    """Return the photo that a trace carries, or None where it has none that can be shown.

    Args:
        extra: that of the trace; `picture` is a JPEG or PNG file in base64.
    """
    from PIL import Image

    text = extra.get("picture")
    if not isinstance(text, str) or len(text) > 2 * LARGEST:
        return None
    try:
        data = base64.b64decode(text, validate=True)
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            if len(data) > LARGEST or max(image.size) > LONGEST:
                return None
            image.load()
    except (OSError, ValueError, SyntaxError, binascii.Error):  # pillow raises all of these
        return None
    return data


def explorer(rows: Sequence[Group], title: str) -> Group:
    """Return the rows of a map as a list that the page's explorer walks through."""
    listed = {"role": "listbox", "tabindex": "0", "aria-label": title}
    return Group(tuple(rows), attributes=listed)


def explorer_row(trace: Trace, t: int, shapes: Sequence[Shape], description: str) -> Group:
    """Return the shapes of the t-th target unit as a row of the page's explorer."""
    attributes = {
        "class": "row",
        "role": "option",
        "aria-selected": "false",
        "data-t": str(t),
        "data-word": trace.target[t],
    }
    return Group(tuple(shapes), title=description, attributes=attributes)


def gold_of(trace: Trace, t: int) -> list[int]:
    """Return the source positions that the t-th target unit is linked to by the gold alignment."""
    return [s for row, s in trace.gold or () if row == t and s < len(trace.source)]


def veil(weights: np.ndarray) -> bytes:
    """Return a PNG file with a dark veil over whatever is not attended to.

    Args:
        weights: R,C of one word over the grid. The largest weight lies open, so that even
            weights veil nothing.
    """
    most = float(weights.max(initial=0.0))
    share = weights / most if most > 0 else np.ones_like(weights)
    return _black(_VEIL * (1 - share))


def ink(weights: np.ndarray, most: float) -> bytes:
    """Return a PNG file of weights R,C in black on a transparent ground, fully opaque at `most`."""
    return _black(np.clip(weights / most, 0.0, 1.0) if most > 0 else np.zeros_like(weights))


def spectrogram(rows: object) -> np.ndarray | None:
    """Grey levels F,S from the rows that a speech trace carries (two hexadecimal digits a
    column, the lowest band first), or None where they are no such picture."""
    if not isinstance(rows, list) or not 0 < len(rows) <= LONGEST:
        return None
    try:
        bands = [np.frombuffer(bytes.fromhex(row), dtype=np.uint8) for row in rows]
    except (TypeError, ValueError):
        return None
    sizes = {len(band) for band in bands}
    if len(sizes) != 1 or not 0 < sizes.pop() <= 4 * LONGEST:
        return None
    return np.stack(bands)


def grey(levels: np.ndarray) -> bytes:
    """Grey levels R,C (uint8) as a PNG file."""
    from PIL import Image

    return _png(Image.fromarray(levels))


def _black(opacity: np.ndarray) -> bytes:
    from PIL import Image

    alpha = np.rint(np.clip(opacity, 0, 1) * 255).astype(np.uint8)
    return _png(Image.fromarray(np.stack([np.zeros_like(alpha), alpha], axis=-1), mode="LA"))


def _png(image: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()


_PANEL = 82.0  # four of them fit a phone
_COLUMNS = 4
_GAP, _LABEL = 7.0, 17.0
_SIZE = 11.5
_CHARACTERS = 13
_ASPECT = (0.5, 2.0)  # flatter and steeper photos are squeezed to these

Corners = tuple[float, float, float, float]


def photo_map(trace: Trace, title: str) -> Drawing | None:
    """Draw the attention of one caption; return None where the trace has no photo that can be
    shown.

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
    for t, word in enumerate(trace.target):
        boxes = [box for start, end, own in phrases if start <= t < end for box in own]
        weights = trace.weights[t].reshape(rows, columns)
        cover = Picture(0, _LABEL, _PANEL, height, veil(weights))
        panel = _panel(word, data, height, (cover,), boxes)
        panels.append(explorer_row(trace, t, panel.shapes, photo_description(trace, t)))
    step_x, step_y = _PANEL + _GAP, height + _LABEL + _GAP
    placed = [
        Group((panel,), (place % _COLUMNS) * step_x, (place // _COLUMNS) * step_y)
        for place, panel in enumerate(panels)
    ]
    across = min(_COLUMNS, len(panels))
    down = -(-len(panels) // _COLUMNS)
    return Drawing(
        across * step_x - _GAP + 2,
        down * step_y - _GAP + 2,
        (placed[0], explorer(placed[1:], title)),
        title,
        attributes={"class": "map photo", "role": "group", "data-cell": "0"},
    )


def photo_description(trace: Trace, t: int) -> str:
    """A word's attention in words: `dog: 62 % of its weight lies in its box; most at row 3,
    column 4 (0.21)`."""
    weights = trace.weights[t]
    gold = gold_of(trace, t)
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
        Text(0, _LABEL - 5, shortened(word, _CHARACTERS), size=_SIZE, bold=bool(boxes and over)),
        Picture(0, _LABEL, _PANEL, height, data, shared=True),
        *over,
    ]
    for left, top, right, bottom in boxes:
        wide, high = (right - left) * _PANEL, (bottom - top) * height
        place = (left * _PANEL, _LABEL + top * height, wide, high)
        # A light line under the orange one: photos have any colour.
        shapes += [Box(*place, "frame", outline=3.4), Box(*place, "gold-line", outline=1.8)]
    shapes.append(Box(0, 0, _PANEL, _LABEL + height, "ground", opacity=0.0))
    return Group(tuple(shapes))


def _grid(trace: Trace) -> tuple[int, int] | None:
    match trace.extra.get("grid"):
        case [int(rows), int(columns)] if min(rows, columns) >= 1:
            return (rows, columns) if rows * columns == len(trace.source) else None
    return None


def _aspect(trace: Trace) -> float:
    aspect = trace.extra.get("aspect", 1.0)
    known = isinstance(aspect, int | float) and aspect > 0
    return min(max(float(aspect), _ASPECT[0]), _ASPECT[1]) if known else 1.0


def _phrases(trace: Trace) -> list[tuple[int, int, list[Corners]]]:
    """Return phrases as first word, end and boxes; malformed ones are left out."""
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

"""A quick picture of one trace, for tracking while a trial runs. Reports draw finer ones.

Drawn pixel by pixel: a plotting library takes a tenth of a second for the labels of one picture.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageFont import FreeTypeFont, ImageFont

    from bench.trace import Trace

_CELL = 18  # pixels of a unit that is labelled
_LABELLED = 60  # more units than this cannot be read beside a picture
_LONGEST_LABEL = 16
_MARGIN = 4
_GOLD = (214, 39, 40)


def heatmap(trace: Trace) -> np.ndarray:
    """RGB pixels H,W,3 (uint8): rows are target units, columns source units, the darker the
    larger the weight; gold pairs are framed."""
    from PIL import Image, ImageDraw

    rows, columns = trace.weights.shape
    height, width = _cell_size(rows), _cell_size(columns)
    side, head = _labels(trace.target), _labels(trace.source)
    left = max((label.width for label in side), default=0) + _MARGIN
    top = max((label.width for label in head), default=0) + _MARGIN
    size = (left + columns * width + _MARGIN, top + rows * height + _MARGIN)
    picture = Image.new("RGB", size, "white")
    shades = np.round(255 * (1 - np.clip(trace.weights, 0, 1))).astype(np.uint8)
    blocks = shades.repeat(height, axis=0).repeat(width, axis=1)
    picture.paste(Image.fromarray(blocks), (left, top))
    for row, label in enumerate(side):
        picture.paste(label, (left - label.width - 2, top + row * height + 2))
    for column, label in enumerate(head):
        upright = label.rotate(90, expand=True)
        picture.paste(upright, (left + column * width + 2, top - upright.height - 2))
    draw = ImageDraw.Draw(picture)
    for t, s in trace.gold or ():
        corner = (left + s * width, top + t * height)
        far = (corner[0] + width - 1, corner[1] + height - 1)
        draw.rectangle((*corner, *far), outline=_GOLD, width=min(2, width, height))
    return np.asarray(picture)


def _cell_size(units: int) -> int:
    """Pixels of a unit: pictures of any length stay about as large as the largest labelled one."""
    return _CELL if units <= _LABELLED else max(1, _CELL * _LABELLED // units)


def _labels(units: tuple[str, ...]) -> list[Image]:
    """A small picture per unit, in grey levels; none where there are too many."""
    from PIL import Image, ImageDraw

    if len(units) > _LABELLED:
        return []
    font, labels = _font(), []
    for unit in units:
        text = unit if len(unit) <= _LONGEST_LABEL else unit[: _LONGEST_LABEL - 1] + "…"
        label = Image.new("L", (int(font.getlength(text)) + 1, _CELL - 4), 255)
        ImageDraw.Draw(label).text((0, 0), text, fill=0, font=font)
        labels.append(label)
    return labels


def _font() -> FreeTypeFont | ImageFont:
    """One that knows most alphabets, which pillow's own does not."""
    import matplotlib
    from PIL import ImageFont

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    return ImageFont.truetype(str(path), 11)

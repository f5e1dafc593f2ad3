"""Pictures as plain data: a few shapes with colour roles.

Lengths are CSS pixels from the upper left corner. Attention maps build these; `svg` draws them.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Point = tuple[float, float]
Anchor = Literal["start", "middle", "end"]


@dataclass(frozen=True)
class Box:
    """A rectangle: filled with `opacity`, or only outlined where `outline` is a width."""

    x: float
    y: float
    width: float
    height: float
    role: str
    opacity: float = 1.0
    outline: float = 0.0
    title: str = ""


@dataclass(frozen=True)
class Lines:
    """Separate straight lines of one kind."""

    segments: tuple[tuple[Point, Point], ...]
    role: str
    width: float = 1.0


@dataclass(frozen=True)
class Strip:
    """Filled boxes of one size in a row that starts at x, y; `cells` are (column, opacity)."""

    x: float
    y: float
    width: float
    height: float
    role: str
    cells: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Picture:
    """A bitmap stretched over a rectangle.

    Attributes:
        data: a PNG or JPEG file.
        shared: several drawings of a page show it, so it is kept once a page (`svg.definitions`).
        ink: grey levels that are dark on light ground; on dark ground they are turned round.
        crisp: its pixels are figures, and keep their borders when it is stretched.
    """

    x: float
    y: float
    width: float
    height: float
    data: bytes
    shared: bool = False
    ink: bool = False
    crisp: bool = False

    @property
    def key(self) -> str:
        """Its name within a page."""
        return f"picture-{hashlib.sha256(self.data).hexdigest()[:16]}"


@dataclass(frozen=True)
class Text:
    """One line of text. `turn` rotates it about its anchor, in degrees clockwise."""

    x: float
    y: float
    text: str
    role: str = "ink"
    anchor: Anchor = "start"
    size: float = 11.0
    turn: float = 0.0
    bold: bool = False
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Group:
    """Shapes that belong together, moved by dx, dy; `attributes` go to the SVG element, `title`
    is its tooltip and its name for those who cannot see it."""

    shapes: tuple[Shape, ...]
    dx: float = 0.0
    dy: float = 0.0
    title: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


Shape = Lines | Box | Strip | Picture | Text | Group


@dataclass(frozen=True)
class Drawing:
    """A picture with its size, and what it says in words for those who cannot see it."""

    width: float
    height: float
    shapes: tuple[Shape, ...]
    title: str
    description: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


def pictures(shapes: Iterable[Shape]) -> Iterator[Picture]:
    """All bitmaps among some shapes, those in groups too."""
    for shape in shapes:
        if isinstance(shape, Picture):
            yield shape
        elif isinstance(shape, Group):
            yield from pictures(shape.shapes)


def text_width(text: str, size: float = 11.0) -> float:
    """Rough width in pixels; no font is at hand where pictures are laid out."""
    units = 0.0
    for character in text:
        if unicodedata.category(character) in ("Mn", "Me", "Cf"):
            continue  # drawn on the character before it, or not at all
        if unicodedata.east_asian_width(character) in "WF":
            units += 1.0
        elif character in "iljtf.,:;'|!I1 ()[]":
            units += 0.36
        elif character in "mwMW%@" or character.isupper():
            units += 0.78
        else:
            units += 0.56
    return units * size


def shortened(text: str, characters: int) -> str:
    """The text, cut with an ellipsis where it is longer."""
    return text if len(text) <= characters else text[: max(1, characters - 1)] + "…"


def tiled(drawings: Sequence[Drawing], columns: int, *, title: str, gap: float = 14.0) -> Drawing:
    """Several pictures as one, row by row. Rows are as high as their highest picture."""
    assert drawings, "nothing to tile"
    rows = [drawings[start : start + columns] for start in range(0, len(drawings), columns)]
    width = max(sum(one.width for one in row) + gap * (len(row) - 1) for row in rows)
    placed: list[Shape] = []
    top = 0.0
    for row in rows:
        left = 0.0
        for one in row:
            placed.append(Group(one.shapes, left, top))
            left += one.width + gap
        top += max(one.height for one in row) + gap
    described = " ".join(one.description for one in drawings if one.description)
    return Drawing(width, top - gap, tuple(placed), title, described)

"""Pictures as plain data: a few shapes with colour roles, drawn as SVG or as PDF.

Lengths are CSS pixels from the upper left corner. Charts and heat maps build these; `svg` and
`pdf` draw them. Nothing here knows what a picture shows.
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
class Path:
    """A line through points."""

    points: tuple[Point, ...]
    role: str
    width: float = 1.0
    dash: str = ""
    opacity: float = 1.0


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
class Marker:
    """A small sign centred on x, y; `title` is its tooltip."""

    x: float
    y: float
    shape: str
    role: str
    size: float = 3.0
    title: str = ""


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


Shape = Path | Lines | Box | Strip | Picture | Marker | Text | Group


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


def stacked(drawings: Sequence[Drawing], *, title: str) -> Drawing:
    """Pictures one above the other."""
    return tiled(drawings, 1, title=title)


# Colours: one palette for pages and figures, in a light and a dark form.
#
# Everything drawn names a role ("ink", "series-0", "heat"), never a colour. Pages turn roles into
# CSS variables, so that figures inside them follow the reader's light or dark setting; PDF files
# take the light form. Series are told apart by colour, dash and marker together, so that no
# reading depends on colour alone.


@dataclass(frozen=True)
class Shade:
    """One role's colour on light and on dark ground, as #rrggbb."""

    light: str
    dark: str


PALETTE: dict[str, Shade] = {
    "ground": Shade("#ffffff", "#12161b"),
    "surface": Shade("#f6f7f9", "#1a2027"),
    "rule": Shade("#d9dee4", "#333c47"),
    "ink": Shade("#16191d", "#e8ebef"),
    "muted": Shade("#55606c", "#a9b4c0"),
    "accent": Shade("#0a58a6", "#84bfff"),
    "warning": Shade("#9a3412", "#ffb38a"),
    "good": Shade("#0b6b4b", "#6fd6ae"),
    "grid": Shade("#e4e8ec", "#2b333d"),
    "context": Shade("#c9d0d8", "#46515e"),
    "shade": Shade("#eef1f5", "#1f2730"),
    # Matrix cells carry text, so both ends of their scale keep 4.5:1 against "ink".
    "cell-low": Shade("#ffffff", "#12161b"),
    "cell-high": Shade("#8fc1f0", "#1d4f86"),
    # Attention weights carry none: the whole range from ground to this one is theirs.
    "heat": Shade("#08306b", "#9fd0ff"),
    "gold": Shade("#c2410c", "#ffa05c"),
    # Over photos, which are neither light nor dark: the same on both grounds.
    "gold-line": Shade("#e8590c", "#e8590c"),
    "frame": Shade("#ffffff", "#ffffff"),
    "series-0": Shade("#0067b8", "#5cb3ff"),
    "series-1": Shade("#c0430a", "#ff9563"),
    "series-2": Shade("#00765a", "#45cda8"),
    "series-3": Shade("#9a3c8c", "#e694dc"),
    "series-4": Shade("#7d6200", "#dcbc45"),
    "series-5": Shade("#4a5560", "#c0c9d2"),
}

MARKERS = ("circle", "square", "triangle", "diamond", "plus", "cross")
DASHES = ("", "6 3", "2 2", "8 3 2 3", "10 4", "1 3")
SERIES = 6


@dataclass(frozen=True)
class Style:
    """How one series is drawn: colour role, marker and dash pattern."""

    role: str
    marker: str
    dash: str


def style(index: int) -> Style:
    """The style of the index-th series; beyond the sixth, colours pair with other dashes."""
    turn, place = divmod(index, SERIES)
    return Style(
        f"series-{place}", MARKERS[(place + turn) % SERIES], DASHES[(place + turn) % SERIES]
    )


def css_variables() -> str:
    """Rules that set `--role` for every role: light, dark by the reader's system, and both by
    the attribute `data-theme` on the root element."""
    light = _declarations(dark=False)
    dark = _declarations(dark=True)
    return (
        f":root{{color-scheme:light;{light}}}\n"
        "@media (prefers-color-scheme:dark){"
        f":root:not([data-theme=light]){{color-scheme:dark;{dark}}}}}\n"
        f":root[data-theme=dark]{{color-scheme:dark;{dark}}}\n"
        f"@media print{{:root,:root:not([data-theme=light]),:root[data-theme=dark]"
        f"{{color-scheme:light;{light}}}}}"
    )


def _declarations(*, dark: bool) -> str:
    colours = "".join(
        f"--{role}:{shade.dark if dark else shade.light};" for role, shade in PALETTE.items()
    )
    # What is drawn in black on nothing, or in grey on white, is turned round on dark ground.
    return f"{colours}--turn:{'invert(1)' if dark else 'none'};"

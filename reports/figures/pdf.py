"""Drawings as PDF files, in the light palette, with embedded fonts and no fixed date: the same
drawing gives the same bytes.
"""

from __future__ import annotations

import io
import math
import pathlib
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from PIL import Image

from reports.figures import (
    PALETTE,
    Box,
    Drawing,
    Group,
    Lines,
    Marker,
    Path,
    Picture,
    Point,
    Shape,
    Strip,
    Text,
)
from reports.figures.svg import clean, marker_outline

# Bitmaps in PDF files: JPEG files as they are, anything else as plain samples.


class Bitmaps:
    """The bitmaps of a page: each once, by the name that the page calls it.

    Args:
        first: number of the first PDF object that is free.
    """

    def __init__(self, first: int) -> None:
        self.next = first
        self.objects: list[bytes] = []
        self._numbers: dict[str, int] = {}

    def name(self, picture: Picture) -> str:
        """What the page calls it."""
        if picture.key not in self._numbers:
            self._numbers[picture.key] = self._add(picture.data, smooth=not picture.crisp)
        return f"I{self._numbers[picture.key]}"

    @property
    def resources(self) -> str:
        """The entries of the page's dictionary of bitmaps."""
        return " ".join(f"/I{number} {number} 0 R" for number in self._numbers.values())

    def _add(self, data: bytes, *, smooth: bool) -> int:
        blend = "/Interpolate true " if smooth else ""
        with Image.open(io.BytesIO(data)) as image:
            if image.format == "JPEG" and image.mode in ("RGB", "L"):
                return self._object(image, data, "/DCTDecode", image.mode, blend)
            whole = image.convert("RGBA")
        opacity = whole.getchannel("A")
        mask = self._samples(opacity, blend)
        return self._samples(whole.convert("RGB"), f"{blend}/SMask {mask} 0 R ")

    def _samples(self, image: Image.Image, more: str) -> int:
        data = zlib.compress(image.tobytes(), 9)
        return self._object(image, data, "/FlateDecode", image.mode, more)

    def _object(self, image: Image.Image, data: bytes, filter: str, mode: str, more: str) -> int:
        space = "/DeviceGray" if mode == "L" else "/DeviceRGB"
        head = (
            f"<< /Type /XObject /Subtype /Image /Width {image.width} /Height {image.height} "
            f"/ColorSpace {space} /BitsPerComponent 8 {more}"
            f"/Filter {filter} /Length {len(data)} >>\nstream\n"
        )
        self.objects.append(head.encode() + data + b"\nendstream")
        self.next += 1
        return self.next - 1


_POINTS = 72.0 / 96.0  # a CSS pixel is 1/96 inch, a point 1/72
# Numbers of the first object of each font, and of the first bitmap.
_REGULAR, _BOLD, _BITMAPS = 6, 11, 16
_CIRCLE = 0.5523  # how far the handles of a quarter circle reach (Bézier)


def document(drawing: Drawing, fonts: Fonts) -> bytes:
    """The drawing as a PDF file of one page, as large as the drawing."""
    page = _Page(fonts)
    for shape in drawing.shapes:
        page.draw(shape, 0.0, 0.0)
    width, height = drawing.width * _POINTS, drawing.height * _POINTS
    # Drawings count downwards from the upper left corner, PDF upwards from the lower one.
    turned = f"{_n(_POINTS)} 0 0 {_n(-_POINTS)} 0 {_n(height)} cm"
    content = "\n".join([turned, *page.operations])
    states = " ".join(
        f"/G{opacity} << /ca {opacity / 100:.2f} /CA {opacity / 100:.2f} >>"
        for opacity in sorted(page.opacities)
    )
    regular, bold = fonts.regular.objects(_REGULAR), fonts.bold.objects(_BOLD)
    assert len(regular) == _BOLD - _REGULAR and len(bold) == _BITMAPS - _BOLD
    title = clean(drawing.title).encode("utf-16-be").hex()
    return _file(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {_n(width)} {_n(height)}] "
            f"/Contents 4 0 R /Resources << /Font << /F0 {_REGULAR} 0 R /F1 {_BOLD} 0 R >> "
            f"/ExtGState << {states} >> /XObject << {page.bitmaps.resources} >> >> >>".encode(),
            stream(content.encode()),
            f"<< /Title <FEFF{title}> /Producer (attention-bench) >>".encode(),
            *regular,
            *bold,
            *page.bitmaps.objects,
        ]
    )


def texts(drawings: Iterable[Drawing]) -> Iterator[str]:
    """All texts of some drawings, for `fonts_for`."""
    for drawing in drawings:
        for shape in drawing.shapes:
            yield from _texts(shape)


def _texts(shape: Shape) -> Iterator[str]:
    if isinstance(shape, Text):
        yield clean(shape.text)
    elif isinstance(shape, Group):
        for inner in shape.shapes:
            yield from _texts(inner)


class _Page:
    """Collects the operations of a page, and the opacities that they name."""

    def __init__(self, fonts: Fonts) -> None:
        self.fonts = fonts
        self.operations: list[str] = []
        self.opacities: set[int] = set()
        self.bitmaps = Bitmaps(_BITMAPS)

    def draw(self, shape: Shape, dx: float, dy: float) -> None:
        match shape:
            case Group():
                for inner in shape.shapes:
                    self.draw(inner, dx + shape.dx, dy + shape.dy)
            case Path():
                line = _line(shape.points, dx, dy)
                self._stroke(line, shape.role, shape.width, shape.dash, shape.opacity)
            case Lines():
                paths = "".join(_line(segment, dx, dy) for segment in shape.segments)
                self._stroke(paths, shape.role, shape.width)
            case Box():
                self._box(shape, dx, dy)
            case Strip():
                self._strip(shape, dx, dy)
            case Picture():
                self._picture(shape, dx, dy)
            case Marker():
                self._marker(shape, dx, dy)
            case Text():
                self._text(shape, dx, dy)

    def _box(self, box: Box, dx: float, dy: float) -> None:
        outline = _rectangle(box.x + dx, box.y + dy, box.width, box.height)
        if box.outline:
            self._stroke(outline, box.role, box.outline)
        else:
            self._fill(outline, box.role, box.opacity)

    def _strip(self, strip: Strip, dx: float, dy: float) -> None:
        for column, opacity in strip.cells:
            left = strip.x + dx + column * strip.width
            outline = _rectangle(left, strip.y + dy, strip.width, strip.height)
            self._fill(outline, strip.role, opacity)

    def _picture(self, picture: Picture, dx: float, dy: float) -> None:
        # A bitmap fills the unit square upwards, and this page counts downwards.
        place = f"{_n(picture.x + dx)} {_n(picture.y + dy + picture.height)}"
        size = f"{_n(picture.width)} 0 0 {_n(-picture.height)}"
        self.operations.append(f"q {size} {place} cm /{self.bitmaps.name(picture)} Do Q")

    def _marker(self, marker: Marker, dx: float, dy: float) -> None:
        if marker.shape == "circle":
            outline = _circle(marker.x + dx, marker.y + dy, marker.size)
            self._fill(outline, marker.role, 1.0)
            return
        outline = "".join(_line(part, dx, dy) for part in marker_outline(marker))
        if marker.shape in ("plus", "cross"):
            self._stroke(outline, marker.role, 1.8)
        else:
            self._fill(outline, marker.role, 1.0)

    def _text(self, label: Text, dx: float, dy: float) -> None:
        face: Face = self.fonts.bold if label.bold else self.fonts.regular
        text = clean(label.text)
        share = {"start": 0.0, "middle": 0.5, "end": 1.0}[label.anchor]
        back = share * face.width(text, label.size)
        cos, sin = math.cos(math.radians(label.turn)), math.sin(math.radians(label.turn))
        x, y = label.x + dx - back * cos, label.y + dy - back * sin
        self.operations.append(
            f"BT {_colour(label.role)} rg /F{int(label.bold)} {_n(label.size)} Tf "
            f"{_n(cos)} {_n(sin)} {_n(sin)} {_n(-cos)} {_n(x)} {_n(y)} Tm "
            f"<{face.encoded(text)}> Tj ET"
        )

    def _fill(self, outline: str, role: str, opacity: float) -> None:
        if opacity > 0:
            self._painted(f"{_colour(role)} rg {outline}f", opacity)

    def _stroke(
        self, outline: str, role: str, width: float, dash: str = "", opacity: float = 1.0
    ) -> None:
        dashes = f"[{dash}] 0 d " if dash else ""
        self._painted(f"{_colour(role)} RG {_n(width)} w 1 j {dashes}{outline}S", opacity)

    def _painted(self, operation: str, opacity: float) -> None:
        rounded = round(opacity * 100)
        if rounded < 100:
            self.opacities.add(rounded)
            operation = f"/G{rounded} gs {operation}"
        self.operations.append(f"q {operation} Q")


def _line(points: Iterable[Point], dx: float, dy: float) -> str:
    placed = [f"{_n(x + dx)} {_n(y + dy)}" for x, y in points]
    return f"{placed[0]} m " + "".join(f"{point} l " for point in placed[1:])


def _rectangle(x: float, y: float, width: float, height: float) -> str:
    return f"{_n(x)} {_n(y)} {_n(width)} {_n(height)} re "


def _circle(x: float, y: float, r: float) -> str:
    corners = [(x + r, y), (x, y + r), (x - r, y), (x, y - r), (x + r, y)]
    reach = _CIRCLE
    curves = [f"{_n(x + r)} {_n(y)} m "]
    for (ax, ay), (bx, by) in pairwise(corners):
        # Handles leave each corner at a right angle to its radius.
        first = ax + reach * (bx - x), ay + reach * (by - y)
        second = bx + reach * (ax - x), by + reach * (ay - y)
        curves.append(" ".join(_n(v) for v in (*first, *second, bx, by)) + " c ")
    return "".join(curves)


def _colour(role: str) -> str:
    code = PALETTE[role].light
    return " ".join(_n(int(code[at : at + 2], 16) / 255) for at in (1, 3, 5))


def _file(objects: list[bytes]) -> bytes:
    """Objects numbered from 1, with the table that says where each begins; 5 is the info."""
    body = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    places = []
    for number, content in enumerate(objects, start=1):
        places.append(len(body))
        body += f"{number} 0 obj\n".encode() + content + b"\nendobj\n"
    table = len(body)
    body += f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode()
    body += b"".join(f"{place:010d} 00000 n \n".encode() for place in places)
    body += f"trailer\n<< /Size {len(objects) + 1} /Root 1 0 R /Info 5 0 R >>\n".encode()
    return bytes(body + f"startxref\n{table}\n%%EOF\n".encode())


def _n(number: float) -> str:
    return f"{number:.4f}".rstrip("0").rstrip(".") or "0"


@dataclass(frozen=True)
class Face:
    """One embedded face.

    Attributes:
        name: its PostScript name.
        glyphs: glyph index by character; what is missing is drawn as glyph 0, an empty box.
        widths: advance by glyph index, in thousandths of the size.
        program: the TrueType file, reduced to the glyphs used.
        box: xMin, yMin, xMax, yMax; `ascent`, `descent` likewise in thousandths.
    """

    name: str
    glyphs: dict[str, int]
    widths: dict[int, int]
    program: bytes
    box: tuple[int, int, int, int]
    ascent: int
    descent: int

    def encoded(self, text: str) -> str:
        """The text as hexadecimal glyph indices, as a PDF shows it."""
        return "".join(f"{self.glyphs.get(character, 0):04X}" for character in text)

    def width(self, text: str, size: float) -> float:
        """Advance of the text at a size, in the unit of the size."""
        units = sum(self.widths.get(self.glyphs.get(c, 0), 600) for c in text)
        return units * size / 1000

    def objects(self, first: int) -> list[bytes]:
        """The five PDF objects of the face, numbered from `first`; the first is the font."""
        widths = " ".join(f"{glyph} [{width}]" for glyph, width in sorted(self.widths.items()))
        box = " ".join(map(str, self.box))
        return [
            f"<< /Type /Font /Subtype /Type0 /BaseFont /{self.name} /Encoding /Identity-H "
            f"/DescendantFonts [{first + 1} 0 R] /ToUnicode {first + 4} 0 R >>".encode(),
            f"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /{self.name} /CIDToGIDMap /Identity "
            "/CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> "
            f"/FontDescriptor {first + 2} 0 R /DW 600 /W [{widths}] >>".encode(),
            f"<< /Type /FontDescriptor /FontName /{self.name} /Flags 4 /FontBBox [{box}] "
            f"/ItalicAngle 0 /Ascent {self.ascent} /Descent {self.descent} "
            f"/CapHeight {self.ascent} /StemV 80 /FontFile2 {first + 3} 0 R >>".encode(),
            stream(self.program, f"/Length1 {len(self.program)}"),
            stream(self._to_unicode().encode()),
        ]

    def _to_unicode(self) -> str:
        pairs = sorted((glyph, character) for character, glyph in self.glyphs.items())
        # A section of this table holds 100 entries at most.
        sections = [pairs[start : start + 100] for start in range(0, len(pairs), 100)]
        mapped = "\n".join(
            f"{len(section)} beginbfchar\n"
            + "\n".join(f"<{glyph:04X}> <{_utf16(character)}>" for glyph, character in section)
            + "\nendbfchar"
            for section in sections
        )
        return (
            "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n"
            "/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n"
            "/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n"
            "1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n"
            f"{mapped}\nendcmap\nCMapName currentdict /CMap defineresource pop\nend\nend"
        )


@dataclass(frozen=True)
class Fonts:
    """The regular and the bold face, with all characters that a set of files needs."""

    regular: Face
    bold: Face


def fonts_for(texts: Iterable[str]) -> Fonts:
    """Fonts with the characters of all these texts."""
    characters = sorted({character for text in texts for character in text})
    return Fonts(_face("DejaVuSans", characters), _face("DejaVuSans-Bold", characters))


def stream(content: bytes, entries: str = "") -> bytes:
    """A compressed stream object."""
    packed = zlib.compress(content, 9)
    head = f"<< /Length {len(packed)} /Filter /FlateDecode {entries} >>\nstream\n"
    return head.encode() + packed + b"\nendstream"


def _utf16(character: str) -> str:
    return character.encode("utf-16-be").hex().upper()


def _face(name: str, characters: list[str]) -> Face:
    from fontTools.subset import Options, Subsetter  # type: ignore[import-untyped]
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]
    from matplotlib import get_data_path

    font: Any = TTFont(
        pathlib.Path(get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", recalcTimestamp=False
    )
    mapping = font.getBestCmap()
    glyphs = {c: font.getGlyphID(mapping[ord(c)]) for c in characters if ord(c) in mapping}
    scale = 1000 / font["head"].unitsPerEm
    names = font.getGlyphOrder()
    used = sorted({0, *glyphs.values()})
    widths = {glyph: round(font["hmtx"][names[glyph]][0] * scale) for glyph in used}
    head, metrics = font["head"], font["hhea"]
    box = tuple(round(edge * scale) for edge in (head.xMin, head.yMin, head.xMax, head.yMax))
    options = Options()
    options.layout_features = []
    options.hinting = False
    options.retain_gids = True  # glyph indices stay what `glyphs` says
    options.notdef_outline = True
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "kern", "name", "post", "OS/2", "cmap", "FFTM"]
    subsetter = Subsetter(options)
    subsetter.populate(gids=used)
    subsetter.subset(font)
    program = io.BytesIO()
    font.save(program)
    return Face(
        name,
        glyphs,
        widths,
        program.getvalue(),
        (box[0], box[1], box[2], box[3]),
        round(metrics.ascent * scale),
        round(metrics.descent * scale),
    )

"""Fonts inside PDF files: the glyphs that are used, embedded as TrueType, with text that can be
copied (PDF 1.7, sections 9.7 and 9.10.3). The faces are DejaVu Sans as Matplotlib carries it."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any


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
        Path(get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", recalcTimestamp=False
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

"""Drawings as SVG and PDF, and the colours they use."""

from __future__ import annotations

import re
import zlib

import pytest
from defusedxml import ElementTree

from reports.figures import (
    DASHES,
    MARKERS,
    PALETTE,
    SERIES,
    Box,
    Drawing,
    Group,
    Lines,
    Marker,
    Path,
    Strip,
    Text,
    css_variables,
    pdf,
    shortened,
    stacked,
    style,
    svg,
    text_width,
    tiled,
)
from reports.figures.pdf import fonts_for

DRAWING = Drawing(
    120,
    80,
    (
        Path(((0, 0), (10, 10), (20, 5)), "series-0", 2, "4 2", opacity=0.5),
        Lines((((0, 1), (2, 3)), ((4, 5), (6, 7))), "grid"),
        Box(1, 2, 30, 40, "heat", 0.25, title="a <box>"),
        Box(1, 2, 30, 40, "gold", outline=2),
        Strip(5, 6, 10, 10, "heat", ((0, 0.5), (3, 1.0))),
        *(Marker(50, 50, shape, "series-1", title="m") for shape in MARKERS),
        Group((Text(5, 70, "<script>&'\" 5 $x$ é\x00", turn=-30, anchor="end"),), 3, 4, "a group"),
        Text(5, 70, "fett", bold=True, attributes={"data-x": 'a"b'}),
    ),
    "A <drawing>",
    "What it & shows",
)


def test_a_file_is_well_formed_and_escaped():
    root = ElementTree.fromstring(svg.document(DRAWING))
    assert root.get("aria-label") == "A <drawing>"
    texts = [node.text for node in root.iter() if node.tag.endswith("text")]
    assert texts[0] == "<script>&'\" 5 $x$ é\N{REPLACEMENT CHARACTER}"
    assert not [node for node in root.iter() if node.tag.endswith("script")]


def test_only_palette_roles_are_used_as_colours():
    found = set(re.findall(r"var\(--([a-z0-9-]+)\)", svg.document(DRAWING)))
    assert found <= set(PALETTE)


def test_inline_pictures_bring_no_style_of_their_own():
    assert "<style" not in svg.inline(DRAWING)
    assert "<style" in svg.document(DRAWING)


def test_pdf_is_whole_and_repeatable():
    fonts = fonts_for(pdf.texts([DRAWING]))
    content = pdf.document(DRAWING, fonts)
    assert content == pdf.document(DRAWING, fonts_for(pdf.texts([DRAWING])))
    assert content.startswith(b"%PDF-1.7")
    start = int(content.split(b"startxref\n")[1].split(b"\n")[0])
    assert content[start:].startswith(b"xref")
    offsets = re.findall(rb"(\d{10}) 00000 n", content)
    for number, offset in enumerate(offsets, start=1):
        assert content[int(offset) :].startswith(b"%d 0 obj" % number)


def test_pdf_text_can_be_copied():
    fonts = fonts_for(pdf.texts([DRAWING]))
    content = pdf.document(DRAWING, fonts)
    streams = [
        zlib.decompress(part.split(b"\nendstream")[0])
        for part in content.split(b"stream\n")[1:]
        if part[:1] == b"\x78"
    ]
    page = next(part for part in streams if b" Tj" in part)
    assert fonts.bold.encoded("fett").encode() in page
    mapping = next(part for part in streams if b"beginbfchar" in part)
    assert f"<{fonts.regular.glyphs['é']:04X}> <00E9>".encode() in mapping


def test_characters_without_a_glyph_are_boxes_not_errors():
    face = fonts_for(["日a"]).regular
    assert face.encoded("日a").startswith("0000")
    assert face.width("a", 10) == pytest.approx(6.13, abs=0.05)


def test_tiles_stand_side_by_side_and_stacks_below_each_other():
    one = Drawing(10, 20, (), "one", "first.")
    two = Drawing(30, 40, (), "two", "second.")
    row = tiled([one, two, one], 2, title="all", gap=5)
    assert (row.width, row.height) == (45, 65)
    assert row.description == "first. second. first."
    assert stacked([one, two], title="all").height == 20 + 40 + 14


def test_long_words_are_cut_and_wide_ones_measured():
    assert shortened("abcdef", 4) == "abc…"
    assert shortened("abcd", 4) == "abcd"
    assert text_width("日本") > text_width("ab")
    assert text_width("") == 0


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours (WCAG 2.2, section 1.4.3), from 1 to 21."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    channels = [int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("side", ["light", "dark"])
def test_colours_meet_wcag_aa(side):
    colour = {role: getattr(shade, side) for role, shade in PALETTE.items()}
    for text in ("ink", "muted", "accent", "warning", "good"):
        for ground in ("ground", "surface"):
            assert contrast(colour[text], colour[ground]) >= 4.5, (text, ground)
    for ground in ("cell-low", "cell-high"):
        assert contrast(colour["ink"], colour[ground]) >= 4.5
    for role in ["gold", *(f"series-{n}" for n in range(SERIES))]:
        assert contrast(colour[role], colour["ground"]) >= 3.0, role


def test_contrast_of_black_on_white_is_the_largest():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#777777") == 1


def test_series_differ_in_more_than_colour():
    styles = [style(index) for index in range(3 * SERIES)]
    assert len(set(styles)) == len(styles)
    assert len({one.marker for one in styles[:SERIES]}) == len(MARKERS) == SERIES
    assert len({one.dash for one in styles[:SERIES]}) == len(DASHES)


def test_every_role_is_a_variable_in_every_scheme():
    rules = css_variables()
    for role in PALETTE:
        assert rules.count(f"--{role}:") == 4

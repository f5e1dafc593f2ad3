"""Attention maps as SVG: well-formed, escaped, in colours of the palette."""

from __future__ import annotations

import re

from defusedxml import ElementTree

from reports.attention_maps import svg
from reports.attention_maps.drawing import (
    Box,
    Drawing,
    Group,
    Lines,
    Strip,
    Text,
    shortened,
    text_width,
    tiled,
)
from reports.figures.theme import PALETTE

DRAWING = Drawing(
    120,
    80,
    (
        Lines((((0, 1), (2, 3)), ((4, 5), (6, 7))), "grid"),
        Box(1, 2, 30, 40, "heat", 0.25, title="a <box>"),
        Box(1, 2, 30, 40, "gold", outline=2),
        Strip(5, 6, 10, 10, "heat", ((0, 0.5), (3, 1.0))),
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


def test_tiles_stand_side_by_side():
    one = Drawing(10, 20, (), "one", "first.")
    two = Drawing(30, 40, (), "two", "second.")
    row = tiled([one, two, one], 2, title="all", gap=5)
    assert (row.width, row.height) == (45, 65)
    assert row.description == "first. second. first."


def test_long_words_are_cut_and_wide_ones_measured():
    assert shortened("abcdef", 4) == "abc…"
    assert shortened("abcd", 4) == "abcd"
    assert text_width("日本") > text_width("ab")
    assert text_width("") == 0

"""Heat maps and the choice of examples."""

from __future__ import annotations

import numpy as np
import pytest

from bench.store.result import Trace
from reports.attention_maps import heat_map, row_description, svg
from reports.attention_maps.drawing import Box, Group, Strip, Text
from reports.pages.gallery import choose_examples


def trace(**changes) -> Trace:
    fields = {
        "example": "e1",
        "subset": "test",
        "mode": "free",
        "kind": "words",
        "source": ("der", "hund", "</s>"),
        "target": ("the", "<b>dog</b>"),
        "weights": np.array([[0.9, 0.09, 0.01], [0.2, 0.8, 0.0]]),
        "gold": ((0, 0), (1, 1)),
    }
    return Trace(**{**fields, **changes})


def rows(drawing) -> list[Group]:
    listbox = next(
        shape
        for shape in drawing.shapes
        if isinstance(shape, Group) and shape.attributes.get("role") == "listbox"
    )
    return list(listbox.shapes)


def test_weights_lie_where_their_words_are():
    drawing = heat_map(trace(), "t")
    first, second = rows(drawing)
    strip = next(shape for shape in first.shapes if isinstance(shape, Strip))
    assert strip.cells == ((0, 0.9), (1, 0.09))
    labels = [s for s in drawing.shapes if isinstance(s, Text)]
    assert [label.text for label in labels] == ["der", "hund", "</s>"]
    for column, label in enumerate(labels):
        middle = strip.x + (column + 0.5) * strip.width
        assert middle <= label.x <= middle + 5
    below = next(shape for shape in second.shapes if isinstance(shape, Strip))
    assert below.y == pytest.approx(strip.y + strip.height)


def test_gold_is_framed():
    for t, row in enumerate(rows(heat_map(trace(), "t"))):
        strip = next(shape for shape in row.shapes if isinstance(shape, Strip))
        (gold,) = [s for s in row.shapes if isinstance(s, Box) and s.role == "gold"]
        assert gold.outline
        assert strip.x + t * strip.width < gold.x < strip.x + (t + 1) * strip.width


def test_rows_say_their_weights_in_words():
    assert row_description(trace(), 0) == "the: der 0.90, hund 0.09, </s> 0.01 (gold: der)"
    assert row_description(trace(gold=None), 1) == "<b>dog</b>: hund 0.80, der 0.20"


def test_words_are_text_never_markup():
    page = svg.inline(heat_map(trace(), "<i>"))
    assert "<b>" not in page
    assert "&lt;b&gt;dog&lt;/b&gt;" in page
    assert "<i>" not in page


@pytest.mark.parametrize(("source", "target"), [(1, 1), (400, 3), (3, 200), (0, 2), (2, 0)])
def test_any_size_can_be_drawn(source, target):
    drawing = heat_map(
        trace(
            source=tuple(f"s{n}" for n in range(source)),
            target=tuple(f"t{n}" for n in range(target)),
            weights=np.full((target, source), 1 / max(source, 1)),
            gold=None,
        ),
        "t",
    )
    assert drawing.width < 1000
    assert drawing.height < 1000


def test_gold_outside_the_matrix_is_left_out():
    drawing = heat_map(trace(gold=((0, 7), (9, 0))), "t")
    assert not [s for row in rows(drawing) for s in row.shapes if getattr(s, "role", "") == "gold"]


def test_chosen_examples_are_those_most_have_with_gold_and_short():
    long = tuple("abcdefghijklmnopqrst")
    traces = [
        trace(example="seen once"),
        trace(example="seen twice"),
        trace(example="seen twice", mode="forced"),
        trace(example="too long", source=long, weights=np.full((2, 20), 0.05)),
        trace(example="too long", mode="forced", source=long, weights=np.full((2, 20), 0.05)),
        *[trace(example="no gold", gold=None) for _ in range(5)],
        trace(example="other", subset="long"),
    ]
    assert choose_examples(traces, "test") == [
        ("test", "seen twice"),
        ("test", "too long"),
        ("long", "other"),
    ]


def test_exhibits_hold_every_mechanism_with_weights(report):
    (section,) = report.sections
    assert [one.subset for one in section.exhibits] == ["test", "test", "long"]
    for place, exhibit in enumerate(section.exhibits):
        shown = {one.contender for one in exhibit.free}
        assert "none" not in shown
        assert {"soft + concat", "hard + concat"} <= shown
        assert len(exhibit.free) == 12
        assert len(exhibit.forced) == (0 if place else 12)
        assert exhibit.gold
        assert {name for name, _ in exhibit.outputs} >= {"none", "soft + concat"}
        assert exhibit.references

"""Scales, fronts and panels."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.figures import Box, Marker, Path, Text, style
from reports.figures.panels import (
    Axes,
    Scale,
    Series,
    Spot,
    legend,
    line_panels,
    padded_scale,
    pareto_front,
    scatter,
    ticks,
)

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@given(st.lists(FINITE, min_size=1, max_size=20))
def test_ticks_are_few_and_inside(values):
    scale = padded_scale(values, 0, 100)
    found = ticks(scale, 4)
    assert len(found) <= 12
    room = 1e-6 * max(1.0, abs(scale.low), abs(scale.high))
    assert all(scale.low - room <= value <= scale.high + room for value in found)
    assert all(math.isfinite(scale(value)) for value in values)


@given(st.floats(1e-3, 1e9), st.floats(3.1, 1e6))
def test_logarithmic_ticks_are_inside(low, ratio):
    scale = padded_scale([low, low * ratio], 0, 100, logarithmic=True)
    found = ticks(scale, 6)
    assert 1 <= len(found) <= 12
    assert all(scale.low <= value <= scale.high for value in found)


def test_scales_never_go_below_zero_without_need():
    assert padded_scale([0.0, 5.0], 0, 1).low == 0
    assert padded_scale([-1.0, 5.0], 0, 1).low < -1


def test_scale_is_linear_or_logarithmic():
    assert Scale(0, 10, 100, 0)(2.5) == 75
    assert Scale(1, 100, 0, 50, logarithmic=True)(10) == 25
    assert Scale(3, 3, 0, 10)(3) == 5


def test_front_keeps_what_nothing_beats():
    points = [(1.0, 1.0), (2.0, 3.0), (3.0, 2.0), (4.0, 4.0), (2.0, 3.0)]
    assert pareto_front(points, lower_x=True, higher_y=True) == [0, 1, 4, 3]
    assert pareto_front(points, lower_x=False, higher_y=True) == [3]
    assert pareto_front(points, lower_x=True, higher_y=False) == [0]


@given(st.lists(st.tuples(FINITE, FINITE), min_size=1, max_size=15))
def test_everything_off_the_front_is_beaten_by_the_front(points):
    front = pareto_front(points, lower_x=True, higher_y=True)
    assert front
    for place, (x, y) in enumerate(points):
        if place not in front:
            assert any(points[f][0] <= x and points[f][1] >= y for f in front)


def panels():
    series = [
        Series("soft, seed 1", "soft", ((1, 10), (2, 20)), style(0)),
        Series("none, seed 1", "none", ((1, 5), (2, 4)), style(1)),
    ]
    return line_panels(series, Axes("words", "BLEU", shaded_from=1.5))


def test_each_panel_shows_its_own_lines_over_all_others_in_grey():
    soft, none = panels()
    lines = [shape for shape in soft.shapes if isinstance(shape, Path) and shape.width > 1.5]
    assert [line.role for line in lines] == ["series-0"]
    context = [
        s for s in soft.shapes if isinstance(s, Path) and s.role == "context" and s.opacity < 1
    ]
    assert len(context) == 1
    assert any(isinstance(s, Marker) and "BLEU 4 at words 2" in s.title for s in none.shapes)


def test_lengths_beyond_training_are_shaded():
    soft, _ = panels()
    (shaded,) = [s for s in soft.shapes if isinstance(s, Box) and s.role == "shade"]
    own = next(s for s in soft.shapes if isinstance(s, Path) and s.role == "series-0")
    assert own.points[0][0] < shaded.x < own.points[1][0]


def test_no_points_make_no_panels():
    assert line_panels([], Axes("a", "b")) == []


def test_scatter_labels_do_not_overlap():
    spots = [
        Spot(f"long name {n}", f"long name {n}", 1 + n * 0.01, 50 + n % 3, 49, 55, style(n))
        for n in range(14)
    ]
    drawing = scatter(spots, title="t", x_label="x", y_label="y", lower_x=True, higher_y=True)
    labels = [s for s in drawing.shapes if isinstance(s, Text) and s.text.startswith("long")]
    assert labels
    boxes = [(s.x, s.y - 9, s.x + 55, s.y + 2) for s in labels]
    for place, one in enumerate(boxes):
        for other in boxes[place + 1 :]:
            assert not (
                one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
            )
    titles = [s.title for s in drawing.shapes if isinstance(s, Marker)]
    assert len(titles) == 14


def test_legends_wrap():
    wide = legend([("a" * 20, style(0)), ("b" * 20, style(1))], 1000)
    narrow = legend([("a" * 20, style(0)), ("b" * 20, style(1))], 180)
    assert narrow.height == pytest.approx(wide.height + 18)

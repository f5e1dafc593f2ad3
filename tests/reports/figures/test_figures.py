"""Figures of an analysis: which mechanisms are drawn, and what of them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.figures import panels
from reports.figures.cost import (
    COLUMNS,
    _drawn,
    _Point,
    cost_frame,
    pareto_front,
    quality_against_cost,
)
from reports.figures.curves import curves_frame, training_curves
from reports.figures.lengths import by_length
from reports.figures.seeds import seeds_figure
from reports.figures.series import Styles
from reports.statistics import LEADING

FINITE = st.floats(-1e6, 1e6, allow_nan=False)


@pytest.fixture(scope="module")
def analysis(report):
    return report.sections[0].analysis


@pytest.fixture(scope="module")
def styles(analysis):
    return Styles(analysis.frame, ["dot", "scaled-dot", "general", "concat", "location-aware"])


def every(analysis, styles, report):
    return [
        *training_curves(analysis, styles),
        by_length(analysis, styles, report.catalogue.task("translation")),
        quality_against_cost(analysis, styles),
    ]


def test_there_is_a_figure_for_every_quantity_and_a_panel_for_every_attention(analysis, styles):
    loss, validation = training_curves(analysis, styles)
    assert (loss.title, validation.title) == (
        "Loss while training",
        "Validation loss while training",
    )
    finished = {one.attention for one in analysis.frame.contenders if one.done}
    assert set(loss.specification["facet"]["sort"]) == set(loss.frame["panel"]) == finished
    assert loss.frame.groupby("panel")["mechanism"].nunique()["global"] == 4


def test_rows_are_the_recorded_points(analysis):
    frame = curves_frame(analysis, "loss")
    (one,) = [c for c in analysis.frame.contenders if c.name == "soft + concat"]
    own = frame[(frame["mechanism"] == one.name) & (frame["seed"] == one.seeds[0])]
    points = one.done[0].curve
    assert own["value"].tolist() == [point["loss"] for point in points]
    assert own["step"].tolist() == [point["step"] for point in points]


def test_by_length_each_test_set_has_a_line_and_longer_ones_are_shaded(analysis, styles, report):
    figure = by_length(analysis, styles, report.catalogue.task("translation"))
    assert figure.caption.startswith("Shaded: longer")
    assert set(figure.frame["part"]) == {"test", "long"}
    layers = figure.chart.to_dict()["spec"]["layer"]
    assert layers[0]["mark"] == {"type": "rect", "style": "shade"}


def test_scores_look_the_same_in_every_figure(analysis, styles, report):
    figures = every(analysis, styles, report)
    assert all(figure.series == figures[0].series for figure in figures)
    names = ["dot", "scaled-dot", "general", "concat", "no score function"]
    assert list(figures[0].series) == names


def test_every_figure_is_told_in_words(analysis, styles, report):
    for figure in every(analysis, styles, report):
        assert "soft + concat" in figure.description or "global + dot" in figure.description
        assert figure.specification["description"] == figure.description
        figure.chart.to_dict()


def test_of_many_contenders_the_best_are_drawn_and_it_is_said(analysis, styles, monkeypatch):
    monkeypatch.setattr(panels, "CONTENDERS", 3)
    loss = training_curves(analysis, styles)[0]
    assert "The 3 best of 13 are drawn." in loss.caption
    assert loss.frame["mechanism"].nunique() == 3


def test_names_of_figures_are_safe_file_names(analysis, styles, monkeypatch):
    for result in analysis.frame.done:
        for point in result.curve:
            monkeypatch.setitem(point, "../../climb", 1.0)
    names = [figure.name for figure in training_curves(analysis, styles)]
    assert names[-1] == "translation-synthetic-laptop-curve-climb"


def test_a_mechanism_has_a_panel_for_each_of_its_curves(analysis, report):
    one = next(c for c in analysis.frame.contenders if len(c.done) > 1)
    figure = seeds_figure(one, "bleu", report.catalogue.task("translation"))
    panels = figure.chart.to_dict()["concat"]
    assert [panel["title"] for panel in panels] == ["loss", "validation loss", "BLEU"]
    assert list(figure.series) == [str(seed) for seed in one.seeds]


def test_costs_are_means_with_the_intervals_of_the_tables(analysis):
    frame = cost_frame(analysis)
    seconds = frame[frame["cost"] == "training seconds"].set_index("mechanism")
    for one, estimate in zip(analysis.frame.contenders, analysis.main.estimates, strict=True):
        if estimate is not None:
            row = seconds.loc[one.name]
            assert (row["value"], row["low"], row["high"]) == pytest.approx(
                (estimate.value, estimate.low, estimate.high)
            )
            spent = [result.cost.train_seconds for result in one.done]
            assert row["amount"] == pytest.approx(sum(spent) / len(spent))


def spots(count: int) -> list[_Point]:
    return [
        _Point("parameters", str(n), f"a{n}", "dot", n != 3, 1, n + 1.0, float(n), None, None)
        for n in range(count)
    ]


def test_of_many_spots_the_best_and_the_front_are_drawn():
    # Each costs more than the one before and is better: all lie on the front.
    assert len(_drawn(spots(LEADING + 40), True, True)) == LEADING + 40
    # Where dear ones are worse, only the cheapest is on the front, and the best are drawn.
    kept = _drawn(spots(LEADING + 40), True, False)
    assert [row[1] for row in kept] == [str(n) for n in range(LEADING)]
    front = [row[COLUMNS.index("front")] for row in kept]
    assert front == [0, *[None] * (LEADING - 1)]


def test_names_find_room_or_are_left_to_the_tooltip():
    few = _drawn(spots(5), True, True)
    assert [row[-1] for row in few] == [f"a{n}{' †' if n == 3 else ''}" for n in range(5)]
    same = [row._replace(amount=1.0, value=5.0) for row in spots(8)]
    assert sum(bool(row[-1]) for row in _drawn(same, True, True)) <= 1


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

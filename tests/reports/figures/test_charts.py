"""The charts of a frame: which lines are drawn, and what they are means of."""

from __future__ import annotations

import pytest

from reports.figures import Path
from reports.figures import charts as figures
from reports.figures.charts import Styles, by_length, quality_against_cost, training_curves


@pytest.fixture(scope="module")
def analysis(report):
    return report.sections[0].analysis


@pytest.fixture(scope="module")
def styles(analysis):
    return Styles(analysis.frame, ["dot", "scaled-dot", "general", "concat", "location-aware"])


def own_lines(panel) -> list[Path]:
    return [s for s in panel.shapes if isinstance(s, Path) and s.role.startswith("series")]


def test_lines_are_means_over_the_seeds_that_have_the_point():
    first = {"a": {1.0: 2.0, 2.0: 4.0}, "b": {1.0: 1.0}}
    second = {"a": {1.0: 4.0, 3.0: 9.0}}
    assert figures._means([first, second]) == [((1.0, 3.0),), ((1.0, 1.0),)]


def test_there_is_a_panel_for_every_attention_that_finished(analysis, styles, report):
    (loss, validation) = training_curves(analysis, styles)
    assert (loss.title, validation.title) == (
        "Loss while training",
        "Validation loss while training",
    )
    assert len(loss.panels) == len(report.catalogue.attentions)
    lines = {panel.title.split(": ")[1]: own_lines(panel) for panel in loss.panels}
    assert len(lines["global"]) == 4
    assert len(lines["soft"]) == 1


def test_by_length_draws_each_test_set_and_marks_the_longer_one(analysis, styles, report):
    figure = by_length(analysis, styles, report.catalogue.task("translation"))
    assert figure.caption.startswith("Shaded: longer")
    assert all(len(own_lines(panel)) % 2 == 0 for panel in figure.panels)


def test_scores_look_the_same_in_every_figure(analysis, styles, report):
    every = [
        *training_curves(analysis, styles),
        by_length(analysis, styles, report.catalogue.task("translation")),
        quality_against_cost(analysis, styles),
    ]
    assert len({figure.entries for figure in every}) == 1
    names = [name for name, _ in every[0].entries]
    assert names == ["dot", "scaled-dot", "general", "concat", "no score function"]


def test_of_many_contenders_the_best_are_drawn_and_it_is_said(analysis, styles, monkeypatch):
    monkeypatch.setattr(figures, "CONTENDERS", 3)
    loss = training_curves(analysis, styles)[0]
    assert "The 3 best of 13 are drawn." in loss.caption
    assert sum(len(own_lines(panel)) for panel in loss.panels) == 3


def test_names_of_figures_are_safe_file_names(analysis, styles, monkeypatch):
    for result in analysis.frame.done:
        for point in result.curve:
            monkeypatch.setitem(point, "../../climb", 1.0)
    names = [figure.name for figure in training_curves(analysis, styles)]
    assert names[-1] == "translation-synthetic-laptop-curve-climb"


def test_of_many_spots_the_best_and_the_front_are_drawn():
    from reports.figures import style
    from reports.figures.charts import _drawn
    from reports.figures.panels import Spot
    from reports.statistics import LEADING

    spots = [
        Spot(str(n), "a", float(n + 1), float(n), None, None, style(0)) for n in range(LEADING + 40)
    ]
    # Each costs more than the one before and is better: all lie on the front.
    assert len(_drawn(spots, True, True)) == len(spots)
    # Where dear ones are worse, only the cheapest is on the front, and the best are drawn.
    kept = _drawn(spots, True, False)
    assert [spot.name for spot in kept] == [str(n) for n in range(LEADING)]

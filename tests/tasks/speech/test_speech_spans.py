"""Alignment with spans of time, on cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.speech.metrics import edit
from tasks.speech.spans import TimeGrid, controls, equal_pairs, figures, judge

#: Three units of 0.1 s, after 0.1 s of silence, before another; positions 0.02 s apart.
SPANS = ((0.1, 0.2), (0.2, 0.3), (0.3, 0.4))
GRID = TimeGrid(0.02, 0.01)
SIZE = 25


def _peaks(*seconds: float) -> np.ndarray:
    """Rows with all weight on the position nearest to a time."""
    weights = np.zeros((len(seconds), SIZE))
    centres = GRID.centres(SIZE)
    for row, second in enumerate(seconds):
        weights[row, np.abs(centres - second).argmin()] = 1.0
    return weights


def test_the_grid_of_an_encoder() -> None:
    grid = TimeGrid.of_encoder(0.01, 4)
    # The first position stands for frames 0 to 3, centred at 0, 10, 20 and 30 ms.
    np.testing.assert_allclose(grid.centres(3), [0.015, 0.055, 0.095])


def test_links_are_the_positions_inside() -> None:
    links = TimeGrid(0.02, 0.01).links(((0.02, 0.06), (0.055, 0.058)), 5)
    assert links == [(0, 1), (0, 2), (1, 2)]  # a span between two centres gets the nearest


def test_perfect_weights() -> None:
    found = figures([judge(_peaks(0.15, 0.25, 0.35), SPANS, GRID)])
    assert found.figures.aer == 0.0 and found.figures.pointing == 1.0
    assert found.figures.mass_on_gold == 1.0 and found.figures.covered == 1.0
    assert found.extra["peak_ms"] == 0.0 and found.extra["monotonicity"] == 1.0
    assert found.extra["centre_ms"] <= 10.0


def test_distances_are_in_milliseconds() -> None:
    # One right, one 30 ms after its span (80 ms from its middle), one on the unit before.
    found = figures([judge(_peaks(0.15, 0.33, 0.25), SPANS, GRID)])
    assert found.figures.pointing == pytest.approx(1 / 3)
    assert found.figures.aer == pytest.approx(2 / 3)
    assert found.extra["peak_ms"] == pytest.approx((0 + 30 + 50) / 3, abs=1e-6)
    assert found.extra["centre_ms"] == pytest.approx((0 + 80 + 100) / 3, abs=10)
    assert found.extra["monotonicity"] == 0.5


def test_mass_is_what_lies_inside() -> None:
    weights = 0.25 * _peaks(0.15, 0.25, 0.35) + 0.75 * _peaks(0.45, 0.45, 0.45)
    found = figures([judge(weights, SPANS, GRID)])
    assert found.figures.mass_on_gold == pytest.approx(0.25)
    assert found.figures.pointing == 0.0


def test_free_decoding_is_judged_where_it_is_right() -> None:
    reference, written = ["p", "a", "t"], ["p", "i", "a"]
    pairs = edit([written], [reference]).pairs[0]
    produced = equal_pairs(written, reference, pairs)
    np.testing.assert_array_equal(produced, [0, 2, -1])
    # The rows are those of what was written: p, i, a.
    found = figures([judge(_peaks(0.15, 0.45, 0.25), SPANS, GRID, produced=produced)])
    assert found.figures.covered == pytest.approx(2 / 3)
    assert found.figures.pointing == 1.0 and found.extra["peak_ms"] == 0.0
    assert found.extra["monotonicity"] == 0.5  # over all that was written


def test_substituted_units_are_not_judged() -> None:
    np.testing.assert_array_equal(equal_pairs(["b"], ["p"], np.array([0])), [-1])


def test_nothing_written() -> None:
    found = figures([judge(np.zeros((0, SIZE)), SPANS, GRID, produced=np.full(3, -1))])
    assert found.figures.aer is None and found.figures.covered == 0.0 and found.extra == {}
    assert figures([]).figures.covered is None


def test_fewer_rows_than_units_leaves_the_rest_unjudged() -> None:
    found = figures([judge(_peaks(0.15, 0.25), SPANS, GRID)])
    assert found.figures.covered == pytest.approx(2 / 3) and found.figures.pointing == 1.0


def test_units_weigh_the_same_over_utterances() -> None:
    right = judge(_peaks(0.15, 0.25, 0.35), SPANS, GRID)
    wrong = judge(_peaks(0.45), SPANS[:1], GRID)
    assert figures([right, wrong]).figures.pointing == pytest.approx(3 / 4)


def test_controls() -> None:
    found = controls([SIZE, SIZE], [SPANS, SPANS], GRID)
    uniform, diagonal = found["uniform"], found["diagonal"]
    assert uniform.figures.mass_on_gold == pytest.approx(5 / 25)
    assert uniform.figures.pointing == pytest.approx(5 / 25)  # what a random choice gets
    assert "monotonicity" not in uniform.extra
    # Their centre of mass is the middle of the utterance, 0.25 s.
    assert uniform.extra["centre_ms"] == pytest.approx((100 + 0 + 100) / 3, abs=0.1)
    # A sixth, a half and five sixths of 25 positions: 0.09, 0.25 and 0.41 s.
    assert diagonal.figures.pointing == pytest.approx(1 / 3)
    assert diagonal.extra["monotonicity"] == 1.0
    assert diagonal.extra["peak_ms"] == pytest.approx((10 + 0 + 10) / 3, abs=0.1)

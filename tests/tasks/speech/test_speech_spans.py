"""Alignment with spans of time, on cases worked out by hand."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from tasks.evaluation import alignment as ragged
from tasks.evaluation.alignment import agreement
from tasks.evaluation.sequence_alignment import edit
from tasks.speech.alignment import (
    Gold,
    SpanCase,
    SpanFigures,
    TimeGrid,
    baselines,
    equal_pairs,
    figures,
)
from tasks.speech.datasets import Span

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


def case(
    weights: np.ndarray, spans: Sequence[Span], produced: np.ndarray | None = None
) -> SpanCase:
    """An utterance with these spans."""
    return SpanCase.of(weights, Gold.of(spans, weights.shape[1], GRID), produced)


def judged(*cases: SpanCase) -> SpanFigures:
    """The figures of some utterances."""
    return figures(cases, GRID)


def test_positions_have_centres() -> None:
    grid = TimeGrid(0.04, 0.015)
    # The first position stands for frames 0 to 3, centred at 0, 10, 20 and 30 ms.
    np.testing.assert_allclose(grid.centres(3), [0.015, 0.055, 0.095])


def test_links_are_the_positions_inside() -> None:
    links = TimeGrid(0.02, 0.01).links(((0.02, 0.06), (0.055, 0.058)), 5)
    assert links.tolist() == [[0, 1], [0, 2], [1, 2]]  # a span between two centres gets the nearest


def test_perfect_weights() -> None:
    found = judged(case(_peaks(0.15, 0.25, 0.35), SPANS))
    assert found.figures.aer == 0.0 and found.figures.pointing_accuracy == 1.0
    assert found.figures.mass_on_gold == 1.0 and found.figures.coverage == 1.0
    assert found.extra["peak_ms"] == 0.0 and found.extra["monotonicity"] == 1.0
    assert found.extra["centre_ms"] <= 10.0


def test_distances_are_in_milliseconds() -> None:
    # One right, one 30 ms after its span (80 ms from its middle), one on the unit before.
    found = judged(case(_peaks(0.15, 0.33, 0.25), SPANS))
    assert found.figures.pointing_accuracy == pytest.approx(1 / 3)
    assert found.figures.aer == pytest.approx(2 / 3)
    assert found.extra["peak_ms"] == pytest.approx((0 + 30 + 50) / 3, abs=1e-6)
    assert found.extra["centre_ms"] == pytest.approx((0 + 80 + 100) / 3, abs=10)
    assert found.extra["monotonicity"] == 0.5


def test_mass_is_what_lies_inside() -> None:
    weights = 0.25 * _peaks(0.15, 0.25, 0.35) + 0.75 * _peaks(0.45, 0.45, 0.45)
    found = judged(case(weights, SPANS))
    assert found.figures.mass_on_gold == pytest.approx(0.25)
    assert found.figures.pointing_accuracy == 0.0


def test_free_decoding_is_judged_where_it_is_right() -> None:
    reference, written = ["p", "a", "t"], ["p", "i", "a"]
    pairs = edit([written], [reference]).pairs[0]
    produced = equal_pairs(written, reference, pairs)
    np.testing.assert_array_equal(produced, [0, 2, -1])
    # The rows are those of what was written: p, i, a.
    found = judged(case(_peaks(0.15, 0.45, 0.25), SPANS, produced=produced))
    assert found.figures.coverage == pytest.approx(2 / 3)
    assert found.figures.pointing_accuracy == 1.0 and found.extra["peak_ms"] == 0.0
    assert found.extra["monotonicity"] == 0.5  # over all that was written


def test_substituted_units_are_not_judged() -> None:
    np.testing.assert_array_equal(equal_pairs(["b"], ["p"], np.array([0])), [-1])


def test_nothing_written() -> None:
    found = judged(case(np.zeros((0, SIZE)), SPANS, produced=np.full(3, -1)))
    assert found.figures.aer is None and found.figures.coverage == 0.0 and found.extra == {}
    assert judged().figures.coverage is None


def test_fewer_rows_than_units_leaves_the_rest_unjudged() -> None:
    found = judged(case(_peaks(0.15, 0.25), SPANS))
    assert found.figures.coverage == pytest.approx(2 / 3) and found.figures.pointing_accuracy == 1.0


def test_units_weigh_the_same_over_utterances() -> None:
    right = case(_peaks(0.15, 0.25, 0.35), SPANS)
    wrong = case(_peaks(0.45), SPANS[:1])
    assert judged(right, wrong).figures.pointing_accuracy == pytest.approx(3 / 4)


def test_baselines() -> None:
    found = baselines([SIZE, SIZE], [Gold.of(SPANS, SIZE, GRID)] * 2, GRID)
    uniform, diagonal = found["uniform"], found["diagonal"]
    assert uniform.figures.mass_on_gold == pytest.approx(5 / 25)
    assert uniform.figures.pointing_accuracy == pytest.approx(5 / 25)  # what a random choice gets
    assert "monotonicity" not in uniform.extra
    # Their centre of mass is the middle of the utterance, 0.25 s.
    assert uniform.extra["centre_ms"] == pytest.approx((100 + 0 + 100) / 3, abs=0.1)
    # A sixth, a half and five sixths of 25 positions: 0.09, 0.25 and 0.41 s.
    assert diagonal.figures.pointing_accuracy == pytest.approx(1 / 3)
    assert diagonal.extra["monotonicity"] == 1.0
    assert diagonal.extra["peak_ms"] == pytest.approx((10 + 0 + 10) / 3, abs=0.1)


def _plain(one: SpanCase) -> list[float]:
    """The sums of one utterance: judged, centre and peak errors, steps, steps forward."""
    centres = GRID.centres(one.weights.shape[1])
    used = one.weights[one.rows]  # J,S
    mass = used @ centres / np.maximum(used.sum(axis=1), 1e-12)
    low, high = one.spans.T
    before, after = low[:, None] - centres, centres - high[:, None]
    outside = np.maximum(np.maximum(before, 0), np.maximum(after, 0))
    largest = used == used.max(axis=1, keepdims=True, initial=0.0)
    peak = (outside * largest).sum(axis=1) / np.maximum(largest.sum(axis=1), 1)
    most = one.weights == one.weights.max(axis=1, keepdims=True, initial=0.0)
    places = most.argmax(axis=1)[most.sum(axis=1) == 1]
    return [
        len(used),
        np.abs(mass - (low + high) / 2).sum(),
        peak.sum(),
        max(len(places) - 1, 0),
        (np.diff(places) >= 0).sum(),
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block", [1, 500, 10**6])
def test_many_utterances_add_up_to_the_last_bit(
    monkeypatch: pytest.MonkeyPatch, dtype: type, block: int
) -> None:
    monkeypatch.setattr(ragged, "BLOCK", block)
    rng = np.random.default_rng(block)
    cases = []
    for number in range(50):
        T, S, R = int(rng.integers(0, 9)), int(rng.integers(1, 60)), int(rng.integers(1, 9))
        weights: np.ndarray = rng.dirichlet(np.ones(S), size=T).astype(dtype)
        weights[rng.random(T) < 0.3] = 1 / S  # several largest ones
        edges = np.sort(rng.random(R + 1))
        spans = tuple(itertools.pairwise(edges.tolist()))
        produced = np.full(R, -1)
        written = rng.permutation(R)[:T]
        produced[np.sort(written)] = np.arange(len(written))
        cases.append(case(weights, spans, produced if number % 2 else None))
    units, centre, peak, steps, forward = np.sum([_plain(one) for one in cases], axis=0).tolist()
    found = judged(*cases)
    assert found.figures == agreement(cases, sure=False).figures()
    assert found.extra == {
        "centre_ms": 1000 * centre / units,
        "peak_ms": 1000 * peak / units,
        "monotonicity": forward / steps,
    }

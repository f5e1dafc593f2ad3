"""Attention against boxes: coverage of cells, phrases found in free text, figures, baselines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.store.result import AlignmentFigures
from tasks.captioning.alignment import (
    PhraseCase,
    RegionAgreement,
    agreement,
    baseline_figures,
    centre_weights,
    coverage,
    forced_case,
    free_case,
    matched_phrases,
)
from tasks.captioning.datasets import Box, Caption, Phrase
from tasks.evaluation import alignment as ragged

LEFT = Box(0.0, 0.0, 0.5, 1.0)
CORNER = Box(0.75, 0.8, 1.0, 1.0)
GRID = (2, 4)


def intervals() -> st.SearchStrategy[tuple[float, float]]:
    edges = st.tuples(st.integers(0, 40), st.integers(0, 40)).filter(lambda pair: pair[0] < pair[1])
    return edges.map(lambda pair: (pair[0] / 40, pair[1] / 40))


BOXES = st.lists(
    st.builds(lambda x, y: Box(x[0], y[0], x[1], y[1]), intervals(), intervals()),
    min_size=1,
    max_size=4,
)


@given(BOXES, st.integers(1, 7), st.integers(1, 7))
def test_coverage_is_the_painted_share_of_each_cell(
    boxes: list[Box], rows: int, columns: int
) -> None:
    # Edges at multiples of 1/40 and of the cells all fall on the pixels of this canvas.
    canvas = np.zeros((rows * 40, columns * 40))
    for box in boxes:
        down = slice(round(box.top * rows * 40), round(box.bottom * rows * 40))
        across = slice(round(box.left * columns * 40), round(box.right * columns * 40))
        canvas[down, across] = 1
    expected = canvas.reshape(rows, 40, columns, 40).mean(axis=(1, 3)).ravel()
    np.testing.assert_allclose(coverage(boxes, (rows, columns)), expected, atol=1e-9)


def caption(text: str, *phrases: tuple[int, int, Box]) -> Caption:
    return Caption(text, tuple(Phrase(start, end, (box,)) for start, end, box in phrases))


def on(cell: int) -> np.ndarray:
    return np.eye(8)[cell]


def forced(weights: np.ndarray, caption: Caption) -> RegionAgreement:
    """How one reference was read."""
    return agreement([forced_case(weights, caption)], GRID)


def free(weights: np.ndarray, written: list[str]) -> RegionAgreement:
    """How one caption was written."""
    return agreement([free_case(weights, written, REFERENCES)], GRID)


READ = caption("a dog sees a red cat", (0, 2, LEFT), (3, 6, CORNER))


def test_forced_figures_by_hand() -> None:
    weights = np.stack([on(0), on(1), on(2), on(7), on(6), on(7)])
    found = forced(weights, READ)
    # "a dog": cells 0 and 1, both in the box, a tie within it. "a red cat": the corner covers less
    # than half of cell 7 and not its centre; 7 is the cell it covers most, hence possible.
    assert found == RegionAgreement(
        judged=2, mass=pytest.approx(1 + 2 / 3 * 0.4), pointed=1.0, linked=2.0, expected=2
    )
    figures = found.figures()
    assert figures.aer == 0 and figures.pointing_accuracy == 0.5 and figures.coverage == 1
    assert figures.mass_on_gold == pytest.approx((1 + 0.8 / 3) / 2)


def test_reading_that_was_cut_short_is_not_covered() -> None:
    found = forced(np.stack([on(0)] * 4), READ)
    assert found.judged == 1 and found.figures().coverage == 0.5


def test_ties_count_their_share() -> None:
    even = np.full((6, 8), 1 / 8)
    figures = forced(even, READ).figures()
    assert figures.pointing_accuracy == pytest.approx((4 / 8 + 0) / 2)
    assert figures.mass_on_gold == pytest.approx((0.5 + 0.4 / 8) / 2)
    assert figures.aer == pytest.approx(1 - (4 / 8 + 1 / 8) / 2)


REFERENCES = (
    caption("a red dog sees a cat", (0, 3, LEFT), (4, 6, CORNER)),
    caption("the dog and a bird", (0, 2, CORNER)),
    caption("nobody knows"),
)


def test_phrases_are_found_by_their_words_but_for_determiners() -> None:
    found = matched_phrases(
        ["the", "red", "dog", "and", "one", "dog", "near", "a", "cat"], REFERENCES
    )
    assert found == [
        Phrase(1, 3, (LEFT,)),  # the longest: "red dog", not "dog" in it
        Phrase(5, 6, (CORNER,)),
        Phrase(8, 9, (CORNER,)),
    ]
    assert matched_phrases(["a", "red", "cow"], REFERENCES) == []
    assert matched_phrases([], REFERENCES) == []


def test_references_that_disagree_are_both_right() -> None:
    twice = (caption("a dog", (0, 2, LEFT)), caption("dog", (0, 1, CORNER)))
    assert matched_phrases(["dog"], twice) == [Phrase(0, 1, (LEFT, CORNER))]


def test_free_figures_and_what_they_cover() -> None:
    written = ["a", "dog", "runs"]
    found = free(np.stack([on(0), on(7), on(0)]), written)
    # References name 2 phrases and 1; of the 1.5 to be expected one was written.
    assert found.judged == 1 and found.expected == 1.5 and found.linked == 1
    assert found.figures().coverage == pytest.approx(1 / 1.5)
    nothing = free(np.zeros((0, 8)), [])
    assert nothing.figures() == AlignmentFigures(coverage=0.0)


def test_sums_and_empty_sums() -> None:
    one = forced_case(np.full((6, 8), 1 / 8), READ)
    assert agreement([one, one], GRID).figures() == agreement([one], GRID).figures()
    assert agreement([], GRID).figures() == AlignmentFigures()


def _plain(weights: np.ndarray, regions: Sequence[tuple[Box, ...]]) -> list[float]:
    """Mass in the box, right pointings and right links of one caption."""
    y, x = ((np.arange(size) + 0.5) / size for size in GRID)
    cover = np.stack([coverage(boxes, GRID) for boxes in regions])
    inside = np.array(
        [
            [
                any(b.top <= down < b.bottom and b.left <= across < b.right for b in boxes)
                for down in y
                for across in x
            ]
            for boxes in regions
        ]
    )
    most = cover.max(axis=1, keepdims=True)
    possible = np.where(most > 0.5, cover > 0.5, cover == most)
    largest = weights == weights.max(axis=1, keepdims=True)
    share = largest / largest.sum(axis=1, keepdims=True)
    rows = [
        (weights * cover).sum(axis=1),
        *((share * one).sum(axis=1) for one in (inside, possible)),
    ]
    return [float(np.ones(len(weights)) @ row) for row in rows]


@pytest.mark.parametrize("block", [1, 100, 10**6])
def test_many_captions_add_up_to_the_last_bit(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(ragged, "BLOCK", block)
    rng = np.random.default_rng(0)
    cases = []
    for _ in range(60):
        size = int(rng.integers(0, 5))
        weights = rng.dirichlet(np.ones(8), size=size)
        weights[rng.random(size) < 0.3] = 1 / 8  # several largest ones
        corners = np.sort(rng.random((size, 2, 2, 2)), axis=2)  # phrase,box,low and high,axis
        regions = [
            tuple(Box(low[0], low[1], high[0], high[1]) for low, high in boxes)
            for boxes in corners.tolist()
        ]
        cases.append(PhraseCase(weights, regions, size + 0.5))
    rows = [
        [len(one.weights), *_plain(one.weights, one.regions), one.expected]
        for one in cases
        if one.regions
    ]
    found = agreement(cases, GRID)
    expected = np.sum(rows, axis=0).tolist()
    assert [found.judged, found.mass, found.pointed, found.linked] == expected[:4]
    assert found.expected == sum(one.expected for one in cases)


@pytest.mark.parametrize(
    ("grid", "expected"),
    [
        ((3, 3), [0, 0, 0, 0, 1, 0, 0, 0, 0]),
        ((2, 2), [0.25] * 4),
        ((1, 4), [0, 0.5, 0.5, 0]),
    ],
)
def test_centre(grid: tuple[int, int], expected: list[float]) -> None:
    assert centre_weights(grid).tolist() == expected


def test_baselines_are_what_such_weights_would_get() -> None:
    groups = [REFERENCES, (READ, READ)]
    found = baseline_figures(groups, GRID)
    for name, row in {"uniform": np.full(8, 1 / 8), "centre": centre_weights(GRID)}.items():
        expected = agreement(
            (
                forced_case(np.tile(row, (len(one.words), 1)), one)
                for group in groups
                for one in group
            ),
            GRID,
        ).figures()
        assert found[name].model_dump() == pytest.approx(expected.model_dump())
    assert baseline_figures([], GRID)["uniform"] == AlignmentFigures()

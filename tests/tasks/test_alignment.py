"""Alignment figures, on examples worked by hand and against plain definitions."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.alignment import (
    Agreement,
    agreement,
    diagonal_weights,
    match_units,
    merge_pieces,
    total,
    uniform_weights,
)

# Three target words over four source words; arg max links: (0,1), (1,2), (2,2).
WEIGHTS = np.array([[0.2, 0.5, 0.2, 0.1], [0.1, 0.2, 0.6, 0.1], [0.0, 0.1, 0.7, 0.2]])


def test_sure_links_by_hand() -> None:
    # |A| = 3, |S| = 4, two of A are right: AER = 1 - (2 + 2) / (3 + 4).
    figures = agreement(WEIGHTS, [(0, 1), (1, 2), (1, 3), (2, 3)]).figures()
    assert figures.aer == pytest.approx(3 / 7)
    assert figures.mass_on_gold == pytest.approx((0.5 + 0.7 + 0.2) / 3)
    assert figures.pointing == pytest.approx(2 / 3)
    assert figures.covered == 1.0


def test_possible_links_by_hand() -> None:
    # No sure links: AER = 1 - |A & P| / |A|; any word of the phrase is right.
    figures = agreement(WEIGHTS, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)], sure=False).figures()
    assert figures.aer == pytest.approx(1 / 3)
    assert figures.pointing == pytest.approx(2 / 3)
    assert figures.mass_on_gold == pytest.approx((0.7 + 0.3 + 0.7) / 3)


def test_target_units_without_gold_do_not_count() -> None:
    assert agreement(WEIGHTS, [(1, 2)]).figures().aer == pytest.approx(0.0)


def test_nothing_judged_gives_no_figures() -> None:
    assert Agreement().figures().aer is None
    unmatched = agreement(WEIGHTS, [(0, 1)], produced=np.array([-1])).figures()
    assert (unmatched.aer, unmatched.mass_on_gold, unmatched.covered) == (None, None, 0.0)


def test_a_repeated_link_is_one_link() -> None:
    assert agreement(WEIGHTS, [(1, 2), (1, 2)]) == agreement(WEIGHTS, [(1, 2)])


def test_links_are_carried_over_to_produced_units() -> None:
    # Reference words 0 and 2 were written as rows 1 and 0; word 1 was not written.
    gold, produced = [(0, 2), (1, 0), (2, 0)], np.array([1, -1, 0])
    counts = agreement(WEIGHTS, gold, produced=produced)
    assert counts.found == 2 and counts.with_gold == 3 and counts.sure == 2
    assert counts.mass == pytest.approx(0.6 + 0.2)
    assert counts.figures().covered == pytest.approx(2 / 3)
    assert counts.figures().pointing == pytest.approx(1 / 2)


def test_totals_weigh_every_target_unit_the_same() -> None:
    parts = [agreement(WEIGHTS, [(0, 1), (1, 2)]), agreement(WEIGHTS, [(2, 0)])]
    assert total(parts).figures().pointing == pytest.approx(2 / 3)
    assert total([]) == Agreement()


def test_uniform_weights_get_what_chance_gets() -> None:
    gold = [(0, 1), (1, 0), (1, 2), (2, 3)]
    figures = agreement(uniform_weights(3, 4), gold).figures()
    chance = np.mean([1 / 4, 2 / 4, 1 / 4])
    assert figures.pointing == pytest.approx(chance)
    assert figures.mass_on_gold == pytest.approx(chance)


def test_diagonal_weights_are_right_on_equal_lengths() -> None:
    links = [(place, place) for place in range(5)]
    assert agreement(diagonal_weights(5, 5), links).figures().aer == pytest.approx(0.0)
    assert diagonal_weights(2, 6).argmax(axis=1).tolist() == [1, 4]
    assert np.all(diagonal_weights(7, 3).sum(axis=1) == 1)


@st.composite
def cases(draw: st.DrawFn) -> tuple[np.ndarray, list[tuple[int, int]]]:
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    weights = random.dirichlet(np.ones(columns), size=rows)
    pairs = st.tuples(st.integers(0, rows - 1), st.integers(0, columns - 1))
    return weights, draw(st.lists(pairs, min_size=1, max_size=12))


@given(cases(), st.booleans())
@settings(max_examples=100, deadline=None)
def test_equals_the_definition_over_sets(
    case: tuple[np.ndarray, list[tuple[int, int]]], sure: bool
) -> None:
    weights, gold = case
    possible = set(gold)
    sure_links = possible if sure else set()
    found = {(t, int(weights[t].argmax())) for t, _ in gold}
    right = len(found & sure_links) + len(found & possible)
    expected = 1 - right / (len(found) + len(sure_links))
    assert agreement(weights, gold, sure=sure).figures().aer == pytest.approx(expected)


def test_matching_by_hand() -> None:
    produced, reference = (
        ["a", "red", "dog", "sees", "the", "cat"],
        ["the", "red", "dog", "the", "cat", "sees"],
    )
    assert match_units(produced, reference).tolist() == [-1, 1, 2, 4, 5, -1]
    assert match_units([], reference).tolist() == [-1] * 6
    assert match_units(produced, []).tolist() == []
    assert match_units(reference, reference).tolist() == list(range(6))


def _longest(first: str, second: str) -> int:
    for size in range(min(len(first), len(second)), 0, -1):
        subsequences = set(itertools.combinations(first, size))
        if subsequences & set(itertools.combinations(second, size)):
            return size
    return 0


@given(st.text("abc", max_size=7), st.text("abc", max_size=7))
@settings(max_examples=150, deadline=None)
def test_matching_is_a_longest_common_subsequence(first: str, second: str) -> None:
    matched = match_units(first, second)
    pairs = [(int(row), place) for place, row in enumerate(matched) if row >= 0]
    assert all(first[row] == second[place] for row, place in pairs)
    assert all(a < b for (a, _), (b, _) in itertools.pairwise(pairs))
    assert len(pairs) == _longest(first, second)


def test_pieces_merge_by_sum_over_the_source_and_mean_over_the_target() -> None:
    weights = np.array([[0.1, 0.2, 0.3, 0.4], [0.3, 0.2, 0.1, 0.4], [0.0, 0.0, 1.0, 0.0]])
    merged = merge_pieces(weights, np.array([0, 0, 1]), np.array([0, 0, 1, 2]))
    assert merged == pytest.approx(np.array([[0.4, 0.2, 0.4], [0.0, 1.0, 0.0]]))
    assert merged.sum(axis=1) == pytest.approx(1.0)


def test_pieces_without_a_word_are_left_out() -> None:
    weights = np.full((3, 3), 1 / 3)
    merged = merge_pieces(weights, np.array([0, 1, -1]), np.array([0, 1, -1]))
    assert merged == pytest.approx(np.full((2, 2), 1 / 3))
    assert merge_pieces(np.zeros((0, 2)), np.zeros(0, int), np.array([0, 1])).shape == (0, 2)

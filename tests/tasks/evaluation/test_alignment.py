"""Alignment figures, on examples worked by hand and against plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.evaluation import alignment as ragged
from tasks.evaluation.alignment import (
    Agreement,
    Case,
    Links,
    agreement,
    diagonal_weights,
    merge_pieces,
    uniform_weights,
)

# Three target words over four source words; arg max links: (0,1), (1,2), (2,2).
WEIGHTS = np.array([[0.2, 0.5, 0.2, 0.1], [0.1, 0.2, 0.6, 0.1], [0.0, 0.1, 0.7, 0.2]])


def judged(
    weights: np.ndarray, gold: Links, *, sure: bool = True, produced: np.ndarray | None = None
) -> Agreement:
    """The counts of one example."""
    return agreement([Case(weights, gold, produced)], sure=sure)


def test_sure_links_by_hand() -> None:
    # |A| = 3, |S| = 4, two of A are right: AER = 1 - (2 + 2) / (3 + 4).
    figures = judged(WEIGHTS, [(0, 1), (1, 2), (1, 3), (2, 3)]).figures()
    assert figures.aer == pytest.approx(3 / 7)
    assert figures.mass_on_gold == pytest.approx((0.5 + 0.7 + 0.2) / 3)
    assert figures.pointing_accuracy == pytest.approx(2 / 3)
    assert figures.coverage == 1.0


def test_possible_links_by_hand() -> None:
    # No sure links: AER = 1 - |A & P| / |A|; any word of the phrase is right.
    figures = judged(WEIGHTS, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)], sure=False).figures()
    assert figures.aer == pytest.approx(1 / 3)
    assert figures.pointing_accuracy == pytest.approx(2 / 3)
    assert figures.mass_on_gold == pytest.approx((0.7 + 0.3 + 0.7) / 3)


def test_target_units_without_gold_do_not_count() -> None:
    assert judged(WEIGHTS, [(1, 2)]).figures().aer == pytest.approx(0.0)


def test_nothing_judged_gives_no_figures() -> None:
    assert Agreement().figures().aer is None
    unmatched = judged(WEIGHTS, [(0, 1)], produced=np.array([-1])).figures()
    assert (unmatched.aer, unmatched.mass_on_gold, unmatched.coverage) == (None, None, 0.0)


def test_a_repeated_link_is_one_link() -> None:
    assert judged(WEIGHTS, [(1, 2), (1, 2)]) == judged(WEIGHTS, [(1, 2)])


def test_links_are_carried_over_to_produced_units() -> None:
    # Reference words 0 and 2 were written as rows 1 and 0; word 1 was not written.
    gold, produced = [(0, 2), (1, 0), (2, 0)], np.array([1, -1, 0])
    counts = judged(WEIGHTS, gold, produced=produced)
    assert counts.found == 2 and counts.with_gold == 3 and counts.sure == 2
    assert counts.mass == pytest.approx(0.6 + 0.2)
    assert counts.figures().coverage == pytest.approx(2 / 3)
    assert counts.figures().pointing_accuracy == pytest.approx(1 / 2)


def test_totals_weigh_every_target_unit_the_same() -> None:
    cases = [Case(WEIGHTS, [(0, 1), (1, 2)]), Case(WEIGHTS, [(2, 0)])]
    assert agreement(cases).figures().pointing_accuracy == pytest.approx(2 / 3)
    assert agreement([]) == Agreement()


def test_uniform_weights_get_what_chance_gets() -> None:
    gold = [(0, 1), (1, 0), (1, 2), (2, 3)]
    figures = judged(uniform_weights(3, 4), gold).figures()
    chance = np.mean([1 / 4, 2 / 4, 1 / 4])
    assert figures.pointing_accuracy == pytest.approx(chance)
    assert figures.mass_on_gold == pytest.approx(chance)


def test_diagonal_weights_are_right_on_equal_lengths() -> None:
    links = [(place, place) for place in range(5)]
    assert judged(diagonal_weights(5, 5), links).figures().aer == pytest.approx(0.0)
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
    assert judged(weights, gold, sure=sure).figures().aer == pytest.approx(expected)


def _plain(case: Case, sure: bool) -> list[float]:
    """The counts of one example, matrix by matrix."""
    target, source = np.asarray(case.gold, dtype=np.int64).reshape(-1, 2).T
    rows = target if case.produced is None else case.produced[target]
    judged = (rows >= 0) & (rows < len(case.weights))
    linked = np.zeros(case.weights.shape, dtype=bool)  # T,S
    linked[rows[judged], source[judged]] = True
    used, right = case.weights[linked.any(axis=1)], linked[linked.any(axis=1)]
    largest = used == used.max(axis=1, keepdims=True, initial=0.0)
    hits = ((largest & right).sum(axis=1) / np.maximum(largest.sum(axis=1), 1)).sum()
    mass = used[right].sum(dtype=np.float64)
    on_sure, all_sure = (hits, right.sum()) if sure else (0, 0)
    return [len(used), on_sure, hits, all_sure, mass, len(np.unique(target))]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block", [1, 500, 10**6])
@pytest.mark.parametrize(("sure", "carried"), [(True, False), (False, True)])
def test_many_examples_add_up_to_the_last_bit(
    monkeypatch: pytest.MonkeyPatch, dtype: type, block: int, sure: bool, carried: bool
) -> None:
    monkeypatch.setattr(ragged, "BLOCK", block)
    rng = np.random.default_rng(block)
    cases = []
    for number in range(60):
        T, S = int(rng.integers(0, 12)), int(rng.integers(1, 40))
        weights: np.ndarray = rng.dirichlet(np.ones(S), size=T).astype(dtype)
        weights[rng.random(T) < 0.3] = 1 / S  # several largest ones
        R = int(rng.integers(1, 12))
        count = 0 if number % 7 == 0 else int(rng.integers(1, 200))
        gold = [(int(rng.integers(R)), int(rng.integers(S))) for _ in range(count)]
        cases.append(Case(weights, gold, rng.integers(-1, max(T, 1), R) if carried else None))
    rows = [_plain(case, sure) for case in cases]
    assert agreement(iter(cases), sure=sure) == Agreement(*np.sum(rows, axis=0).tolist())


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


@pytest.mark.parametrize("kind", ["words", "pieces"])
def test_pieces_that_are_words_merge_as_any_pieces(kind: str) -> None:
    rng = np.random.default_rng(0)
    weights = rng.dirichlet(np.ones(9), size=7).astype(np.float32)
    rows = np.arange(7) if kind == "words" else np.array([0, 0, 1, 2, 2, 2, -1])
    columns = np.arange(9)
    for target, source in ((rows, columns), (np.arange(7), np.maximum(columns - 1, 0))):
        left = (target == np.arange(target.max() + 1)[:, None]).astype(float)
        left /= left.sum(axis=1, keepdims=True)
        right = (source == np.arange(source.max() + 1)[:, None]).astype(float)
        assert (merge_pieces(weights, target, source) == left @ weights @ right.T).all()

"""Matching produced units with references: by hand, against enumeration, many at once."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.evaluation import sequence_alignment as matching
from tasks.evaluation.sequence_alignment import match_units


def matched(produced: Sequence[str], reference: Sequence[str]) -> list[int]:
    """The units that stand for those of one reference."""
    [found] = match_units([produced], [reference])
    return [int(row) for row in found]


def test_matching_by_hand() -> None:
    produced, reference = (
        ["a", "red", "dog", "sees", "the", "cat"],
        ["the", "red", "dog", "the", "cat", "sees"],
    )
    assert matched(produced, reference) == [-1, 1, 2, 4, 5, -1]
    assert matched([], reference) == [-1] * 6
    assert matched(produced, []) == []
    assert matched(reference, reference) == list(range(6))


def _longest(first: str, second: str) -> int:
    for size in range(min(len(first), len(second)), 0, -1):
        subsequences = set(itertools.combinations(first, size))
        if subsequences & set(itertools.combinations(second, size)):
            return size
    return 0


@given(st.text("abc", max_size=7), st.text("abc", max_size=7))
@settings(max_examples=150, deadline=None)
def test_matching_is_a_longest_common_subsequence(first: str, second: str) -> None:
    found = matched(first, second)
    pairs = [(row, place) for place, row in enumerate(found) if row >= 0]
    assert all(first[row] == second[place] for row, place in pairs)
    assert all(a < b for (a, _), (b, _) in itertools.pairwise(pairs))
    assert len(pairs) == _longest(first, second)


def _plain(produced: str, reference: str) -> list[int]:
    """One example, its table filled and walked back entry by entry."""
    P, R = len(produced), len(reference)
    table = [[0] * (R + 1) for _ in range(P + 1)]
    for p, r in itertools.product(range(P), range(R)):
        alike = produced[p] == reference[r]
        table[p + 1][r + 1] = table[p][r] + 1 if alike else max(table[p][r + 1], table[p + 1][r])
    found = [-1] * R
    while P and R:
        if produced[P - 1] == reference[R - 1]:
            P, R = P - 1, R - 1
            found[R] = P
        elif table[P - 1][R] >= table[P][R - 1]:
            P -= 1
        else:
            R -= 1
    return found


@pytest.mark.parametrize("block", [1, 60, 10**6])
@given(pairs=st.lists(st.tuples(st.text("abc", max_size=9), st.text("abc", max_size=9))))
@settings(max_examples=100, deadline=None)
def test_many_examples_are_matched_as_each_alone(block: int, pairs: list[tuple[str, str]]) -> None:
    produced, reference = [p for p, _ in pairs], [r for _, r in pairs]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matching, "BLOCK", block)
        found = [row.tolist() for row in match_units(produced, reference)]
    assert found == list(map(_plain, produced, reference))

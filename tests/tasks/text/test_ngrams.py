"""Counts of shared n-grams against counting them text by text."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.text import ngrams
from tasks.text.ngrams import overlap

words = st.lists(st.sampled_from(["a", "b", "c"]), max_size=8)


def _grams(text: list[str], n: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(text[start:] for start in range(n)), strict=False))


@pytest.mark.parametrize("most", [4, 2**40])  # numbered anew for every order, or never
@given(st.lists(st.tuples(words, st.lists(words, max_size=3)), max_size=5))
@settings(max_examples=150, deadline=None)
def test_overlap(most: int, examples: list[tuple[list[str], list[list[str]]]]) -> None:
    texts = [text for text, _ in examples]
    references = [one for _, known in examples for one in known]
    owners = np.repeat(np.arange(len(examples)), [len(known) for _, known in examples])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ngrams, "_RENUMBER", most)
        found = overlap(texts, references, 3, owners=owners.astype(np.int64))
    for row, (text, known) in enumerate(examples):
        for n in range(1, 4):
            most_often: Counter[tuple[str, ...]] = Counter()
            for one in known:
                most_often |= _grams(one, n)
            shared = (_grams(text, n) & most_often).total()
            assert found.matches[row, n - 1] == shared
            written = _grams(text, n).items()
            there = sum(times for gram, times in written if gram in most_often)
            assert found.known[row, n - 1] == there
            assert found.totals[row, n - 1] == _grams(text, n).total()
    totals = [[_grams(one, n).total() for n in range(1, 4)] for one in references]
    assert found.reference_totals.tolist() == totals

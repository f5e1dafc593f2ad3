"""Cutting a text into words loses nothing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data.tokenizer import MARK, marked, split_words, unmarked, word_starts, words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Two men, outside.", ["Two", "men", ",", "outside", "."]),
        ("A man's dog isn't here", ["A", "man", "'s", "dog", "isn", "'t", "here"]),
        ("L’homme d'un café", ["L’", "homme", "d'", "un", "café"]),
        ("qu'il dit 'non'", ["qu'", "il", "dit", "'", "non", "'"]),
        ("T-Shirt (blau) 1,5", ["T", "-", "Shirt", "(", "blau", ")", "1", ",", "5"]),
        ("...", [".", ".", "."]),
        (" \t ", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert list(words(text)) == expected


@given(st.text(max_size=60))
@settings(max_examples=300, deadline=None)
def test_joining_gives_the_text_back(text: str) -> None:
    plain = " ".join(text.replace(MARK, "_").split())
    assert unmarked(split_words(text)) == plain
    assert "".join(split_words(text)) == marked(text)


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_every_word_shows_something_and_starts_where_it_stands(text: str) -> None:
    assert all(words(text))
    starts = [0]
    for word in split_words(text):
        starts.append(starts[-1] + len(word))
    assert word_starts(marked(text)) == starts[:-1]

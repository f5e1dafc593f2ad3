"""Plain words stay what they are when they are joined and cut again."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tasks.data.tokenizer import plain_words, words


@given(st.text())
@example("L'eau d'Artagnan's o'clock")
@example("rock'n'roll l’homme 'tis can't")
@example("a\u2581b \u2581 <xon> U.S. 1,500")
def test_joined_words_are_cut_into_the_same_words(text: str) -> None:
    found = plain_words(text)
    assert words(" ".join(found)) == found
    assert all(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The man's hat.", ("the", "man", "'s", "hat", ".")),
        ("  \t\n ", ()),
        ("Don't", ("don", "'t")),
    ],
)
def test_words_of_a_text(text: str, expected: tuple[str, ...]) -> None:
    assert plain_words(text) == expected


def test_case_can_be_kept() -> None:
    assert plain_words("A Man", lower=False) == ("A", "Man")

"""Messages of errors: one short line that shows every character, whatever a file held."""

from __future__ import annotations

import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.errors import SHOWN, UsageError, blank, listed, one_line, reason_of

TEXTS = st.text(st.characters(exclude_categories=()), max_size=400)


@given(what=TEXTS, where=TEXTS, remedy=TEXTS)
def test_a_message_is_a_short_line_that_can_be_seen(what: str, where: str, remedy: str) -> None:
    error = UsageError(what, where=where, remedy=remedy)
    assert len(error.what) <= SHOWN and len(error.where) <= SHOWN
    assert str(error).isprintable()
    again = UsageError(error.what, where=error.where, remedy=error.remedy)
    assert str(again) == str(error) == str(pickle.loads(pickle.dumps(error)))


def test_a_finished_line_is_not_cut_again() -> None:
    line = str(UsageError("a" * 200, where="b" * 200, remedy="c" * 200))
    assert str(UsageError.repeated(line)) == line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("neutral\u200b", r"neutral\u200b"),
        ("neutral\xa0", r"neutral\xa0"),
        ("\u202etxet", r"\u202etxet"),
        ("a\0b\x1b[2J", r"a\x00b\x1b[2J"),
        ("\ud800", r"\ud800"),
        ("\u3164\ufe0f", r"\u3164\ufe0f"),
        ("two\n lines\tand  tabs", "two lines and tabs"),
        ("grün 犬 🐕", "grün 犬 🐕"),
        (r"C:\data", r"C:\data"),
    ],
)
def test_what_cannot_be_seen_is_escaped(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_the_middle_of_long_texts_is_left_out() -> None:
    shown = one_line("begin" + "x" * 1_000_000 + "end")
    assert len(shown) == SHOWN and shown.startswith("begin") and shown.endswith("end")
    assert " ... " in shown
    assert len(reason_of(ValueError("x" * 9999))) <= SHOWN


def test_names_that_a_file_holds_are_listed_in_short() -> None:
    assert listed([]) == "none" and listed(["a", "", 5]) == "a, '', 5"
    assert listed(range(15)).endswith("11, and 3 more")
    assert len(listed(["x" * 5000] * 5000)) < 400


@pytest.mark.parametrize(
    ("text", "empty"),
    [
        ("", True),
        (" \t\u3000\xa0", True),
        ("\u200b\ufeff\u2060\u202e\x07", True),
        ("\u3164\u2800", True),
        (".", False),
        ("\u200b犬", False),
        ("\ue000", False),
    ],
)
def test_whether_anything_can_be_seen(text: str, empty: bool) -> None:
    assert blank(text) is empty

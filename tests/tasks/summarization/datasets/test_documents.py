"""From texts to documents: sentences, words, empty documents, documents that stay on disk."""

from __future__ import annotations

import numpy as np
import pytest

from bench.errors import UsageError
from tasks.data.rows import RowExamples, TextRow
from tasks.data.texts import Texts
from tasks.summarization.datasets import (
    Document,
    Preprocessing,
    hold_out,
    read_documents,
    split_sentences,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It rose. It fell.", ["It rose.", "It fell."]),
        ("城镇建了桥。它很长！「对。」", ["城镇建了桥。", "它很长！", "「对。」"]),
        ("नगर ने पुल बनाया । यह लंबा है।", ["नगर ने पुल बनाया ।", "यह लंबा है।"]),
        ("بنت المدينة جسرا. إنه طويل؟ نعم", ["بنت المدينة جسرا.", "إنه طويل؟", "نعم"]),
        ("Город построил мост. Он длинный.", ["Город построил мост.", "Он длинный."]),
        ("Mr. Smith of U.S. Steel Corp. said so. He left!", [
            "Mr. Smith of U.S. Steel Corp. said so.", "He left!",
        ]),
        ("It rose 3.5 pct. Prices fell 2. The end.", [
            "It rose 3.5 pct.", "Prices fell 2.", "The end.",
        ]),
        ('He said "yes." Then "no?" \'Why\' (indeed). So.', [
            'He said "yes."', 'Then "no?"', "'Why' (indeed).", "So.",
        ]),
        ("all lower. case stays whole", ["all lower. case stays whole"]),
        ("  ", []),
    ],
)  # fmt: skip
def test_sentences(text: str, expected: list[str]) -> None:
    assert split_sentences(text) == expected


def test_lines_are_never_joined() -> None:
    found = Preprocessing().sentences("A title without stop\nA sentence. Another.\n\n")
    assert found == (
        ("a", "title", "without", "stop"),
        ("a", "sentence", "."),
        ("another", "."),
    )


@pytest.mark.parametrize(
    ("most", "lengths"), [(0, [3, 3, 2]), (8, [3, 3, 2]), (7, [3, 3, 1]), (6, [3, 3]), (2, [2])]
)
def test_sources_are_cut_after_so_many_words(most: int, lengths: list[int]) -> None:
    found = Preprocessing(source_words=most).sentences("One two. Three four. Five.")
    assert [len(sentence) for sentence in found] == lengths


def test_summaries_casing_and_replacements() -> None:
    preprocessing = Preprocessing(summary_words=2, lower=False, replacements=(("<unk>", "UNK"),))
    document = preprocessing.document("x", "A <unk> B", "C D E")
    assert document.sentences == (("A", "UNK", "B"),) and document.summary == ("C", "D")


def test_words_and_segments_of_a_document() -> None:
    document = Document("x", (("a", "b"), ("c",)), ("d",))
    assert document.words == ("a", "b", "c") and document.segments == (0, 0, 1)
    assert (document.source_text, document.summary_text) == ("a b c", "d")
    texts = Texts([document, document], "source_text")
    assert list(texts) == ["a b c"] * 2 == list(texts[:2]) and texts[-1] == "a b c"
    assert Texts([document], "summary_text")[0] == "d"


PAIRS: list[TextRow] = [("a b", "s"), ("", "s"), ("c", " "), ("d", "t"), ("e f", "u")]


def test_empty_documents_are_left_out_counted_and_the_first_is_named() -> None:
    documents, notes = read_documents("train", PAIRS, Preprocessing(), "file.jsonl")
    assert [document.id for document in documents] == ["train-1", "train-4", "train-5"]
    assert notes == (
        "2 documents without source or summary left out (first: file.jsonl, number 2)",
    )
    assert read_documents("train", PAIRS[:1], Preprocessing(), "")[1] == ()
    with pytest.raises(UsageError, match=r"file\.jsonl: no document has both"):
        read_documents("train", PAIRS[1:3], Preprocessing(), "file.jsonl")


def _documents(pairs: list[TextRow], rows: np.ndarray) -> RowExamples[Document]:
    return RowExamples("train", pairs, rows, Preprocessing().build)


def test_documents_are_made_as_they_are_asked_for() -> None:
    documents = _documents(PAIRS, np.array([0, 3, 4]))
    assert len(documents) == 3
    assert [documents[place] for place in range(3)] == list(documents)
    assert documents[-1].words == ("e", "f")
    assert [one.id for one in documents[1:]] == ["train-4", "train-5"]
    assert list(documents[:0]) == []


def test_the_last_tenth_is_held_out() -> None:
    pairs: list[TextRow] = [(f"a{n}", "b") for n in range(20)]
    train, held = hold_out(_documents(pairs, np.arange(20)), "f")
    assert (len(train), len(held)) == (18, 2) and held[0].words == ("a18",)
    train, held = hold_out(_documents(pairs, np.arange(2)), "f")
    assert (len(train), len(held)) == (1, 1)
    with pytest.raises(UsageError, match="f: needs two documents"):
        hold_out(_documents(pairs, np.arange(1)), "f")

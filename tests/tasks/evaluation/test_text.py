"""Weights over tokens to weights over words, with gold links carried to what was written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.data.texts import Split, encode
from tasks.data.tokenizer import Tokenizer
from tasks.evaluation.decode import Decoding, Read, Written
from tasks.evaluation.text import (
    END,
    Attended,
    WordPair,
    alignment,
    attended,
    repetition,
    traces,
)

# "ab" is two tokens on either side, "c" and "d" are one.
TOKENIZER = Tokenizer.train(["a c d", "a c d", "xb"], kind="bpe", size=50)
PAIR = WordPair("one", "ab c", "c d", ("ab", "c"), ("c", "d"), links=((0, 1), (1, 0)))
FREE = np.array(
    [
        [0.5, 0.3, 0.1, 0.1],  # a
        [0.0, 0.2, 0.8, 0.0],  # the pieces of ab
        [0.0, 0.0, 0.6, 0.4],
        [0.0, 0.0, 1.0, 0.0],  # c
    ]
)
FORCED = np.array([[0.1, 0.1, 0.7, 0.1], [0.2, 0.1, 0.3, 0.4]])


@pytest.fixture
def one(tmp_path: Path) -> Attended:
    split = Split(
        [PAIR],
        encode([PAIR.source_text], TOKENIZER, tmp_path),
        encode([PAIR.target_text], TOKENIZER, tmp_path),
    )
    tokens = np.asarray(TOKENIZER.encode_batch(["a ab c"])[0])
    assert len(tokens) == 4 and split.source.lengths.tolist() == [3]
    decoding = Decoding(
        [Written(0, tokens, -1.0, FREE, {"head 1": FREE})], [Read(0, 2.0, 3, FORCED)], 0.0
    )
    [found] = attended([PAIR], decoding, split, TOKENIZER)
    return found


def test_pieces_become_words(one: Attended) -> None:
    assert one.source == ("ab", "c", END)
    assert one.written == ("a", "ab", "c")
    expected = [[0.8, 0.1, 0.1], [0.1, 0.7, 0.2], [0.0, 1.0, 0.0]]
    np.testing.assert_allclose(one.free, expected)
    np.testing.assert_allclose(one.free_parts["head 1"], expected)
    np.testing.assert_allclose(one.forced, [[0.2, 0.7, 0.1], [0.3, 0.3, 0.4]])
    np.testing.assert_allclose(one.free.sum(axis=1), 1.0)


def test_examples_without_weights_are_left_out(tmp_path: Path) -> None:
    split = Split([PAIR], encode(["ab c"], TOKENIZER, tmp_path), encode(["c"], TOKENIZER, tmp_path))
    decoding = Decoding([Written(0, np.array([4]), -1.0)], [Read(0, 2.0, 3)], 0.0)
    assert attended([PAIR], decoding, split, TOKENIZER) == []


def test_alignment_by_hand(one: Attended) -> None:
    found = alignment([one], sure=True)
    assert found is not None and found.forced is not None
    # Forced: "c" points at its word; "d" is linked to "ab", its largest weight is on the end.
    assert found.forced.mass_on_gold == pytest.approx((0.7 + 0.3) / 2)
    assert found.forced.aer == pytest.approx(0.5)
    # Free: "c" was written, "d" was not.
    assert found.coverage == pytest.approx(0.5)
    assert (found.aer, found.mass_on_gold) == (0.0, pytest.approx(1.0))
    assert found.baselines["uniform"].mass_on_gold == pytest.approx(1 / 3)
    assert set(found.baselines) == {"uniform", "diagonal"}


def test_without_links_there_is_no_alignment(one: Attended) -> None:
    bare = WordPair("one", "ab c", "c d", ("ab", "c"), ("c", "d"))
    unlinked = replace(one, pair=bare)
    assert alignment([unlinked], sure=True) is None
    assert all(trace.gold is None for trace in traces(unlinked, "test"))


def test_traces_carry_the_links_to_what_was_written(one: Attended) -> None:
    free, forced = traces(one, "long")
    assert (free.mode, free.subset, free.kind) == ("free", "long", "words")
    assert free.target == ("a", "ab", "c") and free.gold == ((2, 1),)
    assert set(free.parts) == {"head 1"}
    assert (forced.mode, forced.target, forced.gold) == ("forced", ("c", "d"), PAIR.links)


def test_traces_carry_the_sentences_of_documents(one: Attended) -> None:
    assert all(trace.extra == {} for trace in traces(one, "test"))
    cut = replace(one, pair=replace(one.pair, segments=(0, 1)))
    assert [trace.extra for trace in traces(cut, "test")] == [{"segments": [0, 1]}] * 2


def test_repetition_is_the_share_of_trigrams_that_stand_earlier_in_the_text() -> None:
    found = repetition(["a b c a b c a", "a b c", "a b"], ["a b c d", "e f g e f g"])
    # a-b-c, b-c-a, c-a-b, and a-b-c, b-c-a again: two of five, and one of another text
    assert found["repeated_trigrams"] == pytest.approx(2 / 6)
    assert found["reference_repeated_trigrams"] == pytest.approx(1 / 6)


def test_texts_without_three_words_repeat_nothing() -> None:
    assert set(repetition(["a b", ""], ["c"]).values()) == {0.0}

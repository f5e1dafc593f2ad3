"""Vocabularies of whole symbols: ids behind the special ones, and what unknown symbols get."""

from __future__ import annotations

import numpy as np

from tasks.data.cache import RaggedArray
from tasks.data.texts import EncodedTexts
from tasks.data.vocabulary import BOS, EOS, PAD, UNK, Vocabulary


def test_symbols_have_ids_behind_the_special_ones() -> None:
    symbols = Vocabulary(("a", " ", "b"))
    assert symbols.size == 7
    rows = [["b", "a"], ["?"], [], ["a", " ", "a"]]
    targets = EncodedTexts(RaggedArray.of([symbols.encode(row) for row in rows]))
    every = np.array([0, 1, 2, 3])
    assert targets.batch(every, begin=True).values.tolist() == [
        [BOS, 6, 4, PAD],
        [BOS, UNK, PAD, PAD],
        [BOS, PAD, PAD, PAD],
        [BOS, 4, 5, 4],
    ]
    assert targets.batch(every, end=True).values.tolist() == [
        [6, 4, EOS, PAD],
        [UNK, EOS, PAD, PAD],
        [EOS, PAD, PAD, PAD],
        [4, 5, 4, EOS],
    ]
    assert symbols.decode([BOS, 6, 4, UNK, EOS, PAD]) == ("b", "a", "<unk>")
    assert targets.batch(np.array([3, 1]), end=True).values.tolist() == [
        [4, 5, 4, EOS],
        [UNK, EOS, PAD, PAD],
    ]


def test_unknown_symbols_share_a_few_ids_and_each_keeps_its_own() -> None:
    known = Vocabulary.count([["one", "two"], ["one", "three"]], least_count=2, unknown=5)
    assert known.symbols == ("one",) and known.size == UNK + 5 + 1
    assert known.spellings == (None,) * (UNK + 5) + ("one",)
    (first,) = known.segment_batch(["one strange word one strange"])
    assert first.words == [0, 1, 2, 3, 4]
    assert first.ids[0] == first.ids[3] == UNK + 5
    assert first.ids[1] == first.ids[4] and all(UNK <= first.ids[n] < UNK + 5 for n in (1, 2))
    assert known.decode(first.ids[:2]) == ("one", "<unk>")
    assert known.fingerprint != Vocabulary(("one",)).fingerprint


def test_the_most_frequent_come_first_and_equals_by_spelling() -> None:
    assert Vocabulary.count([["b", "a", "c"], ["c"]]).symbols == ("c", "a", "b")

"""Words: cutting and joining lose nothing. Tokenisers: exact round trips, words of tokens, the same
vocabulary in every process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tasks.data.tokenizer import (
    _WORD,
    MARK,
    Kind,
    Tokenizer,
    marked,
    plain_words,
    split_words,
    unmarked,
    word_starts,
    words,
)
from tasks.data.vocabulary import BOS, EOS, PAD, SPECIALS, UNK

TEXTS = [
    "The tall sailor's boat, an older one, lies near the lighthouse.",
    "L'eau d'un lac n'est qu'une eau qui dort; the sailors sleep nearby.",
    'Older sailors say: "never sail at night" - and don\'t.',
    "The lighthouses near the lake are taller than the sailors.",
] * 3


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Two men, outside.", ["Two", "men", ",", "outside", "."]),
        ("A man's dog isn't here", ["A", "man", "'s", "dog", "isn", "'t", "here"]),
        ("L’homme d'un café", ["L’", "homme", "d'", "un", "café"]),
        ("qu'il dit 'non'", ["qu'", "il", "dit", "'", "non", "'"]),
        ("T-Shirt (blau) 1,5", ["T", "-", "Shirt", "(", "blau", ")", "1", ",", "5"]),
        ("...", [".", ".", "."]),
        ("की दुनिया।", ["की", "दुनिया", "।"]),
        ("女孩卖 PyTorch 书。", ["女", "孩", "卖", "PyTorch", "书", "。"]),
        ("テスト版です", ["テスト", "版", "で", "す"]),
        ("ที่นี่", ["ที่", "นี่"]),
        ("او می\u200cخواهد، بله؟", ["او", "می\u200cخواهد", "،", "بله", "؟"]),
        ("x\u0302y e\u0301t", ["x\u0302y", "e\u0301t"]),
        ("👩🏽\u200d💻🇩🇪🇫🇷 1\ufe0f\u20e3!", ["👩🏽\u200d💻", "🇩🇪", "🇫🇷", "1\ufe0f\u20e3", "!"]),
        ("١٢٣ 한국어를 x²", ["١٢٣", "한국어를", "x²"]),
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


@given(st.text(st.characters(max_codepoint=0x2FF) | st.sampled_from("‘’“”–—…‹›€"), max_size=60))
@settings(max_examples=300, deadline=None)
def test_the_quick_rule_for_latin_letters_is_the_general_one(text: str) -> None:
    assert _WORD.findall(marked(text)) == split_words(text)


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
def test_plain_words(text: str, expected: tuple[str, ...]) -> None:
    assert plain_words(text) == expected


def test_case_can_be_kept() -> None:
    assert plain_words("A Man", lower=False) == ("A", "Man")


@pytest.fixture(scope="module", params=["bpe", "word"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    return Tokenizer.train(TEXTS, kind=request.param, size=120)


@pytest.mark.parametrize("kind", ["bpe", "word"])
def test_training_texts_come_back_exactly(kind: Kind) -> None:
    tokenizer = Tokenizer.train(TEXTS, kind=kind, size=1000)
    encoded = tokenizer.encode_batch(TEXTS)
    assert tokenizer.decode_batch(encoded) == TEXTS
    assert all(min(ids) > UNK for ids in encoded)


@given(st.lists(st.sampled_from(sorted({*"".join(TEXTS)})), max_size=40).map("".join))
@settings(max_examples=150, deadline=None)
def test_subwords_spell_any_text_of_known_letters(text: str) -> None:
    tokenizer = SUBWORDS
    (ids,) = tokenizer.encode_batch([text])
    assert tokenizer.decode(ids) == " ".join(text.split())


@given(st.lists(st.sampled_from([*"".join(TEXTS[:4]).split(), "—", "日本"]), max_size=12))
@settings(max_examples=100, deadline=None)
def test_every_word_has_its_tokens(parts: list[str]) -> None:
    text = " ".join(parts)
    for tokenizer in (SUBWORDS, WORDS):
        (one,) = tokenizer.segment_batch([text])
        assert sorted(set(one.words)) == list(range(len(words(text))))
        assert one.words == sorted(one.words)
        assert len(one.words) == len(one.ids)


def test_written_tokens_have_the_words_of_the_text_they_spell(tokenizer: Tokenizer) -> None:
    for one in tokenizer.segment_batch(TEXTS):
        if UNK in one.ids:
            continue
        spelled, index = tokenizer.words(one.ids)
        assert spelled == words(tokenizer.decode(one.ids))
        assert index.tolist() == one.words


@given(st.lists(st.integers(0, 119), max_size=25))
@settings(max_examples=150, deadline=None)
def test_any_tokens_a_model_may_write_have_words(ids: list[int]) -> None:
    for tokenizer in (SUBWORDS, WORDS):
        ids = [number % tokenizer.size for number in ids]
        spelled, index = tokenizer.words(ids)
        shown = index[index >= 0]
        assert (index >= 0).tolist() == [number >= UNK for number in ids]
        assert np.all(np.diff(shown) >= 0)
        assert sorted(set(shown.tolist())) == list(range(len(spelled)))
        assert "".join(spelled) == tokenizer.decode(ids).replace(" ", "")


def test_special_tokens(tokenizer: Tokenizer) -> None:
    assert (PAD, BOS, EOS, UNK) == (0, 1, 2, 3)
    (ids,) = tokenizer.encode_batch(["the sailors 日本"])
    assert UNK in ids
    assert tokenizer.decode([BOS, *ids, EOS, PAD]).startswith("the sailors <unk>")
    # A text cannot smuggle in a special token.
    for text in SPECIALS:
        (smuggled,) = tokenizer.encode_batch([text])
        assert not {PAD, BOS, EOS} & set(smuggled)


def test_size_bounds_the_vocabulary() -> None:
    assert Tokenizer.train(TEXTS, kind="word", size=10).size == 10
    everything = Tokenizer.train(TEXTS, kind="word", size=0)
    assert everything.size > 40
    assert Tokenizer.train(TEXTS, kind="bpe", size=100).size == 100


def test_case_is_kept() -> None:
    tokenizer = Tokenizer.train(["The the THE"] * 3, kind="word", size=0)
    assert tokenizer.size == len(SPECIALS) + 3


def test_json_gives_an_equal_tokenizer(tokenizer: Tokenizer) -> None:
    again = Tokenizer.from_json(tokenizer.to_json())
    assert again.fingerprint == tokenizer.fingerprint
    assert again.kind == tokenizer.kind
    assert again.encode_batch(TEXTS) == tokenizer.encode_batch(TEXTS)


def test_the_cache_answers_for_the_same_texts_only(tmp_path: Path) -> None:
    first = Tokenizer.train(TEXTS, kind="bpe", size=100, cache=tmp_path)
    again = Tokenizer.train(TEXTS, kind="bpe", size=100, cache=tmp_path)
    assert again.fingerprint == first.fingerprint
    assert again.fingerprint == Tokenizer.train(TEXTS, kind="bpe", size=100).fingerprint
    files = tmp_path / "tokenizers"
    assert len(list(files.glob("*.json"))) == 1
    Tokenizer.train(TEXTS[:3], kind="bpe", size=100, cache=tmp_path)
    Tokenizer.train(TEXTS, kind="word", size=100, cache=tmp_path)
    assert len(list(files.glob("*.json"))) == 3


def test_the_vocabulary_is_the_same_in_every_process() -> None:
    program = (
        "from tasks.data.tokenizer import Tokenizer\n"
        f"texts = {TEXTS!r}\n"
        "for kind in ('bpe', 'word'):\n"
        "    print(Tokenizer.train(texts, kind=kind, size=90).fingerprint)"
    )
    outputs = set()
    for threads, hashes in (("1", "1"), ("4", "2")):
        environment = {**os.environ, "PYTHONHASHSEED": hashes, "RAYON_NUM_THREADS": threads}
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        outputs.add(done.stdout)
    assert len(outputs) == 1


SUBWORDS = Tokenizer.train(TEXTS, kind="bpe", size=120)
WORDS = Tokenizer.train(TEXTS, kind="word", size=40)

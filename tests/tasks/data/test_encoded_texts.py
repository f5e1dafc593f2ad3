"""Encoded texts: what comes back is what was encoded, from any number of blocks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.data import texts as module
from tasks.data.texts import EncodedTexts, encode
from tasks.data.tokenizer import Tokenizer
from tasks.data.vocabulary import BOS, EOS, PAD

TEXTS = ["one two three", "", "three", "two two, one.", "one", "two three one two three"]
TOKENIZER = Tokenizer.train(TEXTS, kind="word", size=0)
IDS = TOKENIZER.encode_batch(TEXTS)


@pytest.fixture(params=[1 << 16, 2], ids=["one block", "several blocks"])
def texts(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> EncodedTexts:
    monkeypatch.setattr(module, "ROWS", request.param)
    return encode(TEXTS, TOKENIZER, tmp_path)


def test_every_text_has_its_tokens_and_words(texts: EncodedTexts) -> None:
    assert len(texts) == len(TEXTS)
    assert texts.lengths.tolist() == [len(ids) for ids in IDS]
    for index, one in enumerate(TOKENIZER.segment_batch(TEXTS)):
        assert texts.tokens(index).tolist() == one.ids
        assert texts.words(index).tolist() == one.words


@pytest.mark.parametrize("begin", [False, True])
@pytest.mark.parametrize("end", [False, True])
def test_batches_are_padded_rows(texts: EncodedTexts, begin: bool, end: bool) -> None:
    indices = np.array([5, 1, 0, 3, 3])
    batch = texts.batch(indices, begin=begin, end=end)
    rows = [[BOS] * begin + IDS[index] + [EOS] * end for index in indices]
    width = max(map(len, rows))
    assert batch.values.tolist() == [row + [PAD] * (width - len(row)) for row in rows]
    assert batch.lengths.tolist() == [len(row) for row in rows]
    assert batch.mask.sum(axis=1).tolist() == [len(row) for row in rows]
    assert batch.values.dtype == np.int64


def test_batches_of_empty_texts_and_of_none(texts: EncodedTexts) -> None:
    assert texts.batch(np.array([1])).values.shape == (1, 0)
    assert texts.batch(np.array([1]), begin=True, end=True).values.tolist() == [[BOS, EOS]]
    assert texts.batch(np.zeros(0, int)).values.shape == (0, 0)


def test_tokens_are_mapped_not_read(texts: EncodedTexts) -> None:
    tokens = texts.tokens(0)
    assert tokens.dtype == np.int32
    assert not tokens.flags.owndata and not tokens.flags.writeable


def test_equal_requests_share_a_file(tmp_path: Path) -> None:
    first, again = (encode(TEXTS, TOKENIZER, tmp_path) for _ in range(2))
    assert first.fingerprint == again.fingerprint
    other = encode(TEXTS[::-1], TOKENIZER, tmp_path)
    assert other.fingerprint != first.fingerprint
    smaller = Tokenizer.train(TEXTS, kind="word", size=6)
    assert encode(TEXTS, smaller, tmp_path).fingerprint != first.fingerprint
    assert len(list((tmp_path / "encoded").glob("*.arrow"))) == 3


@given(st.lists(st.sampled_from(["one", "two", "three", "four,", "."]), max_size=20))
@settings(max_examples=30, deadline=None)
def test_any_texts(tmp_path_factory: pytest.TempPathFactory, parts: list[str]) -> None:
    texts = [" ".join(parts[:count]) for count in range(len(parts) + 1)]
    encoded = encode(texts, TOKENIZER, tmp_path_factory.getbasetemp() / "any")
    batch = encoded.batch(np.arange(len(texts)))
    for row, ids in zip(batch.values, TOKENIZER.encode_batch(texts), strict=True):
        assert row[: len(ids)].tolist() == ids and not row[len(ids) :].any()


def test_no_texts(tmp_path: Path) -> None:
    assert len(encode([], TOKENIZER, tmp_path)) == 0


@pytest.mark.parametrize("rows", [1 << 16, 2])
def test_tokens_carry_the_segment_of_their_word(
    rows: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ROWS", rows)
    texts = ["unseen words fall apart", "", "two", "one two one"]
    segments = [(0, 0, 1, 2), (), (0,), (0, 1, 1)]
    pieces = Tokenizer.train(texts[2:], kind="bpe", size=0)
    encoded = encode(texts, pieces, tmp_path, segments=segments)
    batch = encoded.batch(np.array([3, 0, 1]), begin=True, end=True)
    assert batch.segments is not None
    assert batch.segments.shape == batch.values.shape
    for row, index in enumerate([3, 0, 1]):
        of_tokens = [segments[index][word] for word in encoded.words(index)]
        last = of_tokens[-1] if of_tokens else 0
        expected = [0, *of_tokens, last]
        padding = batch.values.shape[1] - len(expected)
        assert batch.segments[row].tolist() == expected + [0] * padding
    assert len(encoded.words(0)) > 4, "a word of several tokens is what is tested"


def test_texts_without_segments_have_none(texts: EncodedTexts) -> None:
    assert texts.batch(np.array([0])).segments is None


def test_other_segments_are_other_files(tmp_path: Path) -> None:
    plain, one, other = (
        encode(["one two"], TOKENIZER, tmp_path, segments=segments)
        for segments in (None, [(0, 0)], [(0, 1)])
    )
    assert len({plain.fingerprint, one.fingerprint, other.fingerprint}) == 3
    assert one.batch(np.array([0])).segments.tolist() == [[0, 0]]  # type: ignore[union-attr]
    assert other.batch(np.array([0])).segments.tolist() == [[0, 1]]  # type: ignore[union-attr]

"""Pairs of texts: framing, joint vocabularies, bounds on both sides."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from bench.errors import UsageError
from tasks.base import Corpus
from tasks.data.texts import SplitTexts, TextData, prepare_texts
from tasks.data.vocabulary import BOS, EOS, PAD
from tasks.settings import TextSettings

SOURCES = ["a b c d e f g h", "a b", "c d e", "h", "b c d e f"] * 8
TARGETS = ["x y", "x", "y z x a", "z", "x y z"] * 8


@dataclass(frozen=True)
class Numbered:
    """A pair of texts by its place in `SOURCES` and `TARGETS`."""

    place: int

    @property
    def id(self) -> str:
        return str(self.place)

    def content(self) -> Iterator[str]:
        yield from (SOURCES[self.place], TARGETS[self.place])


PAIRS = tuple(map(Numbered, range(len(SOURCES))))
CORPUS = Corpus(train=PAIRS, validation=PAIRS, tests={"test": PAIRS})


def data(tmp_path: Path, *, segments: bool = False, **settings: object) -> TextData[Numbered]:
    numbers = [[place // 3 for place in range(len(text.split()))] for text in SOURCES]

    def texts(pairs: Sequence[Numbered]) -> SplitTexts[Numbered]:
        return SplitTexts(pairs, SOURCES, TARGETS, numbers if segments else None)

    return prepare_texts(CORPUS, texts, TextSettings.model_validate(settings), tmp_path)


def test_sources_end_and_targets_are_framed(tmp_path: Path) -> None:
    made = data(tmp_path)
    batch = made.train.batch(np.array([1, 2]))
    source = [made.source_tokenizer.encode_batch([SOURCES[place]])[0] for place in (1, 2)]
    target = [made.target_tokenizer.encode_batch([TARGETS[place]])[0] for place in (1, 2)]
    assert batch.source.tolist() == [[*source[0], EOS, PAD], [*source[1], EOS]]
    assert batch.source_mask.sum(dim=1).tolist() == [3, 4]
    assert batch.inputs[0].tolist() == [BOS, *target[0], PAD, PAD, PAD]
    assert batch.outputs[1].tolist() == [*target[1], EOS]
    assert batch.units == 2 + 5
    assert batch.segments is None


def test_segments_reach_the_batch(tmp_path: Path) -> None:
    batch = data(tmp_path, segments=True).train.batch(np.array([0, 2]))
    assert batch.segments is not None
    assert batch.segments.tolist() == [[0, 0, 0, 1, 1, 1, 2, 2, 2], [0] * 9]


def test_a_joint_vocabulary_knows_the_words_of_both_sides(tmp_path: Path) -> None:
    apart, joint = data(tmp_path), data(tmp_path, joint_vocab=True)
    assert joint.source_tokenizer is joint.target_tokenizer
    assert joint.source_tokenizer.size == 4 + len(set("abcdefghxyz"))
    assert apart.target_tokenizer.size == 4 + len(set("xyza"))
    assert joint.preparation != apart.preparation


def test_byte_pairs_need_a_size(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="vocab_size=5000"):
        data(tmp_path, tokenizer="bpe")


@pytest.mark.parametrize("batch_source_tokens", [0, 12])
def test_batches_are_bounded_by_targets_and_by_sources(
    tmp_path: Path, batch_source_tokens: int
) -> None:
    made = data(tmp_path, batch_tokens=30, batch_source_tokens=batch_source_tokens)
    batches = list(itertools.islice(made.datamodule(1).train_dataloader(), 60))
    sizes = [batch.source.numel() for batch in batches]
    assert all(batch.outputs.numel() <= 30 for batch in batches)
    assert max(sizes) > 12 or batch_source_tokens
    if batch_source_tokens:
        assert all(size <= batch_source_tokens for size in sizes)
    first_epoch = itertools.accumulate(len(batch.index) for batch in batches)
    assert len(SOURCES) in first_epoch, "an epoch ends with a batch"


def test_validation_goes_through_every_example_once(tmp_path: Path) -> None:
    batches = list(data(tmp_path, eval_batch_tokens=20).datamodule(1).val_dataloader())
    seen = sorted(place for batch in batches for place in batch.index.tolist())
    assert seen == list(range(len(SOURCES)))
    assert all(batch.source.numel() <= 20 for batch in batches)


def test_equal_requests_are_prepared_alike(tmp_path: Path) -> None:
    one, other = data(tmp_path / "one"), data(tmp_path / "other")
    assert one.preparation == other.preparation
    assert one.length_ratio == pytest.approx(np.mean([9, 3, 4, 2, 6]) / np.mean([3, 2, 5, 2, 4]))

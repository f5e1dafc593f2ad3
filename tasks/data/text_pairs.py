"""Pairs of texts made ready: tokenised once, cached by fingerprint, batched by length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch

from bench.errors import UsageError
from tasks.base import Corpus, TaskData
from tasks.data.arrow import EncodedTexts, encode
from tasks.data.batching import Batch, BucketBatches, Stream, StreamModule, sorted_batches
from tasks.data.cache import digest
from tasks.data.tokenizer import Tokenizer
from tasks.settings import TextSettings

ExampleT = TypeVar("ExampleT")
Baselines = Callable[[], Mapping[str, float]]


@dataclass(frozen=True)
class SplitTexts(Generic[ExampleT]):
    """The texts of a split: N of each side.

    Attributes:
        examples: what the texts are made of.
        source, target: gone through several times, never held as a whole.
        segments: for every source the segment of each of its words; None if it has none.
    """

    examples: Sequence[ExampleT]
    source: Sequence[str]
    target: Sequence[str]
    segments: Iterable[Sequence[int]] | None = None


@dataclass(frozen=True)
class Split(Generic[ExampleT]):
    """Examples with their tokens. Sources end with EOS, targets are framed by BOS and EOS."""

    examples: Sequence[ExampleT]
    source: EncodedTexts
    target: EncodedTexts

    def __len__(self) -> int:
        return len(self.source)

    def batch(self, indices: np.ndarray) -> Batch:
        """The examples at these places, padded."""
        source = self.source.batch(indices, end=True)
        inputs = self.target.batch(indices, begin=True)
        outputs = self.target.batch(indices, end=True)
        return Batch(
            index=torch.from_numpy(np.ascontiguousarray(indices)),
            source=torch.from_numpy(source.values),
            source_mask=torch.from_numpy(source.mask),
            inputs=torch.from_numpy(inputs.values),
            outputs=torch.from_numpy(outputs.values),
            segments=None if source.segments is None else torch.from_numpy(source.segments),
            units=int(outputs.lengths.sum()),
        )

    def in_order_of_length(self, units: int) -> Stream:
        """All examples once, shortest sources first, `units` padded source tokens a batch."""
        return Stream(self.batch, sorted_batches(self.source.lengths + 1, units))


@dataclass(frozen=True)
class TextData(TaskData, Generic[ExampleT]):
    """Everything a trial needs of its corpus.

    Attributes:
        sure: whether gold links are sure or possible only (`tasks.evaluation.alignment`).
        baselines: gives figures of baselines that need no model, by name. Called where a trial is
            tested, since they may take seconds.
    """

    fingerprint: str
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    train: Split[ExampleT]
    validation: Split[ExampleT]
    tests: Mapping[str, Split[ExampleT]]
    settings: TextSettings
    sure: bool = True
    baselines: Baselines = dict
    notes: tuple[str, ...] = ()

    @property
    def length_ratio(self) -> float:
        """Mean source length over mean target length, end tokens counted."""
        return float(
            (self.train.source.lengths + 1).mean() / (self.train.target.lengths + 1).mean()
        )

    def datamodule(self, seed: int) -> StreamModule:
        train = BucketBatches(
            lengths=_bounded_lengths(self.train, self.settings),
            batch_tokens=self.settings.batch_tokens,
            seed=seed,
            ties=self.train.source.lengths,
        )
        return StreamModule(
            Stream(self.train.batch, train),
            self.validation.in_order_of_length(self.settings.eval_batch_tokens),
        )


def prepare_texts(
    corpus: Corpus[Any],
    texts: Callable[[Sequence[Any]], SplitTexts[ExampleT]],
    settings: TextSettings,
    cache: Path,
    *,
    sure: bool = True,
    baselines: Baselines = dict,
) -> TextData[ExampleT]:
    """Learn the tokenisers from the training split, encode every split.

    Args:
        texts: the texts of the examples of a split.
        sure, baselines: as in `TextData`.

    Raises UsageError where the settings do not fit together or the cache cannot be written.
    """
    if settings.tokenizer == "bpe" and not settings.vocab_size:
        raise UsageError(
            "tokenizer=bpe needs the size of its vocabulary",
            where="--set",
            remedy="add --set vocab_size=5000",
        )
    train = texts(corpus.train)
    source, target = _tokenizers(train, settings, cache)

    def split(part: SplitTexts[ExampleT]) -> Split[ExampleT]:
        return Split(
            part.examples,
            encode(part.source, source, cache, segments=part.segments),
            encode(part.target, target, cache),
        )

    return TextData(
        fingerprint=digest(corpus.fingerprint, source.fingerprint, target.fingerprint),
        source_tokenizer=source,
        target_tokenizer=target,
        train=split(train),
        validation=split(texts(corpus.validation)),
        tests={name: split(texts(examples)) for name, examples in corpus.tests.items()},
        settings=settings,
        sure=sure,
        baselines=baselines,
        notes=corpus.notes,
    )


def _tokenizers(
    train: SplitTexts[Any], settings: TextSettings, cache: Path
) -> tuple[Tokenizer, Tokenizer]:
    """Those of source and target; one for both with a joint vocabulary."""

    def learn(texts: Iterable[str]) -> Tokenizer:
        return Tokenizer.train(
            texts, kind=settings.tokenizer, size=settings.vocab_size, cache=cache
        )

    if settings.joint_vocab:
        joint = learn(_Both(train.source, train.target))
        return joint, joint
    return learn(train.source), learn(train.target)


@dataclass(frozen=True)
class _Both:
    """The texts of both sides, as often as they are gone through."""

    source: Iterable[str]
    target: Iterable[str]

    def __iter__(self) -> chain[str]:
        return chain(self.source, self.target)


def _bounded_lengths(split: Split[Any], settings: TextSettings) -> np.ndarray:
    """N, what each example counts towards `batch_tokens`: its target, or its source where that
    fills a larger share of `batch_source_tokens`."""
    target: np.ndarray = split.target.lengths + 1
    if not settings.batch_source_tokens:
        return target
    share = (split.source.lengths + 1) * settings.batch_tokens / settings.batch_source_tokens
    return np.maximum(target, np.ceil(share).astype(np.int64))

"""Pairs of texts made ready: tokenised once, cached by fingerprint, batched by length."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import numpy as np
import torch

from bench.errors import UsageError
from tasks.base import TaskData
from tasks.data.batching import Batch, BucketBatches, Stream, StreamModule, sorted_batches
from tasks.data.cache import digest
from tasks.data.encoded import EncodedTexts, encode
from tasks.data.tokenizer import Tokeniser
from tasks.settings import TextSettings

Example = TypeVar("Example")
Covariant = TypeVar("Covariant", covariant=True)
Controls = Callable[[], Mapping[str, float]]


@dataclass(frozen=True)
class Part(Generic[Example]):
    """A part of a corpus as texts: N of each side.

    Attributes:
        examples: what the texts are made of.
        source, target: gone through several times, never held as a whole.
        segments: for every source the segment of each of its words; None if it has none.
    """

    examples: Sequence[Example]
    source: Sequence[str]
    target: Sequence[str]
    segments: Iterable[Sequence[int]] | None = None


class Parts(Protocol[Covariant]):
    """What the corpora of all tasks have in common."""

    @property
    def fingerprint(self) -> str: ...
    @property
    def train(self) -> Sequence[Covariant]: ...
    @property
    def validation(self) -> Sequence[Covariant]: ...
    @property
    def tests(self) -> Mapping[str, Sequence[Covariant]]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...


@dataclass(frozen=True)
class TextCorpus(Generic[Example]):
    """What `prepare_texts` takes: a corpus of any task that turns text into text.

    Attributes:
        fingerprint: digest of all examples and their order.
        tests: test sets by name; the first one gives the headline figure.
        sure: whether gold links are sure or possible only (`tasks.evaluation.alignment`).
        controls: gives figures of baselines that need no model, by name. Called where a trial is
            tested, since they may take seconds.
        notes: what a reader of the results must know.
    """

    fingerprint: str
    train: Part[Example]
    validation: Part[Example]
    tests: Mapping[str, Part[Example]]
    sure: bool = True
    controls: Controls = dict
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        corpus: Parts[Example],
        part: Callable[[Sequence[Example]], Part[Example]],
        *,
        sure: bool = True,
        controls: Controls = dict,
    ) -> TextCorpus[Example]:
        """A task's own corpus as texts.

        Args:
            part: examples to their texts.
        """
        return cls(
            fingerprint=corpus.fingerprint,
            train=part(corpus.train),
            validation=part(corpus.validation),
            tests={name: part(examples) for name, examples in corpus.tests.items()},
            sure=sure,
            controls=controls,
            notes=corpus.notes,
        )


@dataclass(frozen=True)
class Split(Generic[Example]):
    """Examples with their tokens. Sources end with EOS, targets are framed by BOS and EOS."""

    examples: Sequence[Example]
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
            source=torch.from_numpy(source.tokens),
            source_mask=torch.from_numpy(source.mask),
            inputs=torch.from_numpy(inputs.tokens),
            outputs=torch.from_numpy(outputs.tokens),
            segments=None if source.segments is None else torch.from_numpy(source.segments),
            units=int(outputs.lengths.sum()),
        )

    def in_order_of_length(self, units: int) -> Stream:
        """All examples once, shortest sources first, `units` padded source tokens a batch."""
        return Stream(self.batch, sorted_batches(self.source.lengths + 1, units))


@dataclass(frozen=True)
class TextData(TaskData, Generic[Example]):
    """Everything a trial needs of its corpus."""

    task: str
    corpus: TextCorpus[Example]
    source_tokeniser: Tokeniser
    target_tokeniser: Tokeniser
    train: Split[Example]
    validation: Split[Example]
    tests: Mapping[str, Split[Example]]
    settings: TextSettings

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        return digest(
            self.task,
            self.corpus.fingerprint,
            self.source_tokeniser.fingerprint,
            self.target_tokeniser.fingerprint,
        )

    @property
    def notes(self) -> Sequence[str]:  # type: ignore[override]
        return self.corpus.notes

    @property
    def length_ratio(self) -> float:
        """Mean source length over mean target length, end tokens counted."""
        return float(
            (self.train.source.lengths + 1).mean() / (self.train.target.lengths + 1).mean()
        )

    def datamodule(self, seed: int) -> StreamModule:
        train = BucketBatches(
            lengths=_bounded_lengths(self.train, self.settings),
            batch_units=self.settings.batch_units,
            seed=seed,
            ties=self.train.source.lengths,
        )
        return StreamModule(
            Stream(self.train.batch, train),
            self.validation.in_order_of_length(self.settings.eval_units),
        )


def prepare_texts(
    task: str, corpus: TextCorpus[Example], settings: TextSettings, cache: Path
) -> TextData[Example]:
    """Train the tokenisers on the training part, encode every part.

    Raises UsageError where the settings do not fit together or the cache cannot be written.
    """
    if settings.tokens == "bpe" and not settings.vocabulary:
        raise UsageError(
            "tokens=bpe needs the size of its vocabulary",
            where="--set",
            remedy="add --set vocabulary=5000",
        )
    source, target = _tokenisers(corpus.train, settings, cache)

    def split(part: Part[Example]) -> Split[Example]:
        return Split(
            part.examples,
            encode(part.source, source, cache, segments=part.segments),
            encode(part.target, target, cache),
        )

    return TextData(
        task=task,
        corpus=corpus,
        source_tokeniser=source,
        target_tokeniser=target,
        train=split(corpus.train),
        validation=split(corpus.validation),
        tests={name: split(part) for name, part in corpus.tests.items()},
        settings=settings,
    )


def _tokenisers(
    train: Part[Example], settings: TextSettings, cache: Path
) -> tuple[Tokeniser, Tokeniser]:
    """Those of source and target: one and the same if the vocabulary is joint."""

    def learn(texts: Iterable[str]) -> Tokeniser:
        return Tokeniser.train(texts, kind=settings.tokens, size=settings.vocabulary, cache=cache)

    if settings.joint_vocabulary:
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


def _bounded_lengths(split: Split[Example], settings: TextSettings) -> np.ndarray:
    """N, what each example counts towards `batch_units`: its target, or its source where that
    fills a larger share of `source_units`."""
    target = split.target.lengths + 1
    if not settings.source_units:
        return target
    share = (split.source.lengths + 1) * settings.batch_units / settings.source_units
    return np.maximum(target, np.ceil(share).astype(np.int64))

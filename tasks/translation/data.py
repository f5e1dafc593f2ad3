"""Translation data made ready: tokenised once, cached by fingerprint, batched by length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import torch

from bench.errors import UsageError
from tasks.base import Paths, TaskData
from tasks.batching import BucketBatches, sorted_batches
from tasks.cache import digest
from tasks.datamodule import Stream, StreamModule
from tasks.generation import Batch
from tasks.text.encoded import EncodedTexts, encode
from tasks.text.tokenise import Tokeniser
from tasks.translation.corpus import Corpus, Pair, Texts
from tasks.translation.settings import TranslationSettings


@dataclass(frozen=True)
class Split:
    """Pairs with their tokens. Sources end with EOS, targets are framed by BOS and EOS."""

    pairs: Sequence[Pair]
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
            units=int(outputs.lengths.sum()),
        )

    def in_order_of_length(self, units: int) -> Stream:
        """All examples once, shortest sources first, `units` padded source tokens a batch."""
        return Stream(self.batch, sorted_batches(self.source.lengths + 1, units))


@dataclass(frozen=True)
class TranslationData(TaskData):
    """Everything a trial needs of its corpus."""

    corpus: Corpus
    source_tokeniser: Tokeniser
    target_tokeniser: Tokeniser
    train: Split
    validation: Split
    tests: Mapping[str, Split]
    settings: TranslationSettings
    notes: tuple[str, ...] = field(default=())

    @cached_property
    def fingerprint(self) -> str:  # type: ignore[override]
        return digest(
            "translation",
            self.corpus.fingerprint,
            self.source_tokeniser.fingerprint,
            self.target_tokeniser.fingerprint,
        )

    @property
    def length_ratio(self) -> float:
        """Mean source length over mean target length, end tokens counted."""
        return float(
            (self.train.source.lengths + 1).mean() / (self.train.target.lengths + 1).mean()
        )

    def datamodule(self, seed: int) -> StreamModule:
        train = BucketBatches(
            lengths=self.train.target.lengths + 1,
            batch_units=self.settings.batch_units,
            seed=seed,
            ties=self.train.source.lengths,
        )
        return StreamModule(
            Stream(self.train.batch, train),
            self.validation.in_order_of_length(self.settings.eval_units),
        )


def prepare(corpus: Corpus, settings: TranslationSettings, paths: Paths) -> TranslationData:
    """Train the tokenisers on the training side, encode every split.

    Raises UsageError where the settings do not fit together or the cache cannot be written.
    """
    if settings.tokens == "bpe" and not settings.vocabulary:
        raise UsageError(
            "tokens=bpe needs the size of its vocabulary",
            where="--set",
            remedy="add --set vocabulary=5000",
        )
    corpus = corpus.limited(settings.train_limit, settings.test_limit)
    source, target = (
        Tokeniser.train(
            Texts(corpus.train, side),
            kind=settings.tokens,
            size=settings.vocabulary,
            cache=paths.cache,
        )
        for side in ("source", "target")
    )

    def split(pairs: Sequence[Pair]) -> Split:
        return Split(
            pairs,
            encode(Texts(pairs, "source"), source, paths.cache),
            encode(Texts(pairs, "target"), target, paths.cache),
        )

    return TranslationData(
        corpus=corpus,
        source_tokeniser=source,
        target_tokeniser=target,
        train=split(corpus.train),
        validation=split(corpus.validation),
        tests={name: split(pairs) for name, pairs in corpus.tests.items()},
        settings=settings,
        notes=corpus.notes,
    )

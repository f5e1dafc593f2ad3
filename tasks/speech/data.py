"""Speech made ready: features from the cache, target ids, batches by length."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tasks.base import Paths, TaskData
from tasks.data.batching import Batch, BucketBatches, Stream, StreamModule, sorted_batches
from tasks.data.cache import RaggedArray
from tasks.data.texts import EncodedTexts
from tasks.data.vocabulary import Vocabulary
from tasks.evaluation.alignment import require_gold
from tasks.speech.alignment import TimeGrid, gold_weights
from tasks.speech.datasets import SpeechCorpus, Utterance
from tasks.speech.features import FeatureOptions, FeatureStore, prepare_features
from tasks.speech.model import front_kind
from tasks.speech.settings import SpeechSettings


@dataclass(frozen=True)
class Split:
    """Utterances with their features and target ids.

    Attributes:
        gold: where the positions are that are attended to, if batches shall hold the units' spans
            as weights; None elsewhere.
        stride: frames of each of these positions.
    """

    utterances: Sequence[Utterance]
    store: FeatureStore
    rows: range
    targets: EncodedTexts
    gold: TimeGrid | None = None
    stride: int = 1

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def lengths(self) -> np.ndarray:
        """N, frames of each utterance."""
        lengths: np.ndarray = self.store.lengths[self.rows.start : self.rows.stop]
        return lengths

    def frames(self, index: int) -> np.ndarray:
        """S,F features of one utterance."""
        return self.store.features(self.rows[index])

    def batch(self, indices: np.ndarray) -> Batch:
        """The utterances at these places, padded."""
        source = self.store.batch(np.asarray(indices) + self.rows.start)
        inputs = self.targets.batch(indices, begin=True)
        outputs = self.targets.batch(indices, end=True)
        return Batch(
            index=torch.from_numpy(np.ascontiguousarray(indices)),
            source=torch.from_numpy(source.values),
            source_mask=torch.from_numpy(source.mask),
            inputs=torch.from_numpy(inputs.values),
            outputs=torch.from_numpy(outputs.values),
            units=int(outputs.lengths.sum()),
            gold=self._gold(indices, self.gold, outputs.values.shape[1]) if self.gold else None,
        )

    def _gold(self, indices: np.ndarray, grid: TimeGrid, length: int) -> Tensor:
        """B,T,S: the gold weights of units and end over encoded positions."""
        spans = [self.utterances[index].spans for index in indices.tolist()]
        positions = -(-self.lengths[indices] // self.stride)
        return torch.from_numpy(gold_weights(spans, length, positions.tolist(), grid))

    def in_order_of_length(self, units: int) -> Stream:
        """All utterances once, the shortest first, `units` padded frames a batch."""
        return Stream(self.batch, sorted_batches(self.lengths, units))


@dataclass(frozen=True)
class ShortFirst:
    """Batches for training that go by length at first (Amodei 2016, section 3.2).

    Attributes:
        batches: the shuffled ones that follow.
        epochs: how many epochs go by length.
    """

    batches: BucketBatches
    epochs: int

    def __iter__(self) -> Iterator[np.ndarray]:
        ordered = sorted_batches(self.batches.lengths, self.batches.batch_tokens)
        first = itertools.chain.from_iterable(itertools.repeat(ordered, self.epochs))
        return itertools.chain(first, self.batches)


@dataclass(frozen=True)
class SpeechData(TaskData):
    """Everything a trial needs of its corpus."""

    corpus: SpeechCorpus
    store: FeatureStore
    vocabulary: Vocabulary
    train: Split
    validation: Split
    tests: Mapping[str, Split]
    settings: SpeechSettings

    @property
    def preparation(self) -> str:  # type: ignore[override]
        return self.store.fingerprint

    @property
    def feature_size(self) -> int:
        """F, features of a frame."""
        return self.store.size

    def length_ratio(self, stride: int) -> float:
        """Mean number of encoded positions over mean target length, end tokens counted."""
        positions = -(-self.train.lengths // stride)
        return float(positions.mean() / (self.train.targets.lengths + 1).mean())

    @property
    def fastest(self) -> float:
        """Most target units a frame in training."""
        return float((self.train.targets.lengths / self.train.lengths).max())

    def datamodule(self, seed: int) -> StreamModule:
        settings = self.settings
        batches = BucketBatches(
            lengths=self.train.lengths,
            batch_tokens=settings.batch_tokens,
            seed=seed,
            ties=self.train.targets.lengths,
        )
        return StreamModule(
            Stream(self.train.batch, ShortFirst(batches, settings.short_first)),
            self.validation.in_order_of_length(settings.eval_batch_tokens),
        )


def prepare(corpus: SpeechCorpus, settings: SpeechSettings, paths: Paths) -> SpeechData:
    """Compute or find the features, number the symbols.

    Raises UsageError where a sound cannot be read or the cache cannot be written.
    """
    options = FeatureOptions(
        n_mels=settings.n_mels, deltas=settings.deltas, normalise=settings.normalise
    )
    store = prepare_features(corpus, options, paths.cache)
    vocabulary = Vocabulary(corpus.symbols)
    grid, stride = None, 1
    if settings.gold_attention != "none":
        require_gold(any(one.spans for one in corpus.train))
        stride, offset = front_kind(settings).timing(settings.front_layers)
        grid = TimeGrid(store.frame_seconds * stride, store.frame_seconds * offset)

    def split(name: str, utterances: Sequence[Utterance]) -> Split:
        targets = RaggedArray.of([vocabulary.encode(one.units) for one in utterances])
        return Split(utterances, store, store.rows[name], EncodedTexts(targets), grid, stride)

    return SpeechData(
        corpus=corpus,
        store=store,
        vocabulary=vocabulary,
        train=split("train", corpus.train),
        validation=split("validation", corpus.validation),
        tests={name: split(name, part) for name, part in corpus.tests.items()},
        settings=settings,
    )

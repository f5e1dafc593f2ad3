"""Speech made ready: features from the cache, target ids, batches by length."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from tasks.base import Paths, TaskData
from tasks.data.batching import Batch, BucketBatches, Stream, StreamModule, sorted_batches
from tasks.data.tokenizer import BOS, EOS, PAD, SPECIALS, UNK
from tasks.speech.corpus import SpeechCorpus, Utterance
from tasks.speech.feature_store import FeatureStore
from tasks.speech.feature_store import prepare as prepare_features
from tasks.speech.features import FeatureOptions
from tasks.speech.settings import SpeechSettings

# Target units as token ids: the symbols of a corpus behind the four special ids.


class Symbols:
    """A vocabulary with ids 0 pad, 1 begin, 2 end, 3 unknown, and the given symbols from 4 on."""

    def __init__(self, symbols: Sequence[str]) -> None:
        self._names = [*SPECIALS, *symbols]
        self._ids = {name: number for number, name in enumerate(self._names)}
        assert len(self._ids) == len(self._names), "a symbol stands twice, or is a special one"

    @property
    def size(self) -> int:
        """Number of token ids, special ones included."""
        return len(self._names)

    def encode(self, rows: Sequence[Sequence[str]]) -> Targets:
        """Token ids of every row; symbols that are not known become UNK."""
        lengths = np.array([len(row) for row in rows], dtype=np.int64)
        ids = self._ids
        flat = np.array([ids.get(unit, UNK) for row in rows for unit in row], dtype=np.int64)
        return Targets(flat, np.concatenate([[0], np.cumsum(lengths)]))

    def decode(self, row: Iterable[int]) -> tuple[str, ...]:
        """The symbols of token ids; padding, begin and end vanish, UNK shows as <unk>."""
        return tuple(self._names[number] for number in row if number >= UNK)


class Targets:
    """Token ids of N sequences, without begin and end.

    Args:
        ids: of all sequences, one after the other.
        offsets: N+1, where each begins.
    """

    def __init__(self, ids: np.ndarray, offsets: np.ndarray) -> None:
        self._ids, self._offsets = ids, offsets
        self.lengths: np.ndarray = np.diff(offsets)

    def __len__(self) -> int:
        return len(self.lengths)

    def framed(self, indices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What a decoder reads and what it is to write: BOS and the targets, the targets and EOS.
        Both B,T+1 int64, PAD after the end."""
        lengths = self.lengths[indices]
        places = np.arange(int(lengths.max(initial=0)))
        real = places < lengths[:, None]  # B,T
        ids = np.full((len(indices), len(places) + 1), PAD, dtype=np.int64)
        at = self._offsets[indices, None] + places
        ids[:, :-1][real] = self._ids[at[real]]
        inputs = np.concatenate([np.full((len(ids), 1), BOS), ids[:, :-1]], axis=1)
        ids[np.arange(len(ids)), lengths] = EOS
        return inputs, ids


@dataclass(frozen=True)
class Split:
    """Utterances with their features and target ids."""

    utterances: Sequence[Utterance]
    store: FeatureStore
    rows: range
    targets: Targets

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
        inputs, outputs = self.targets.framed(indices)
        return Batch(
            index=torch.from_numpy(np.ascontiguousarray(indices)),
            source=torch.from_numpy(source.features),
            source_mask=torch.from_numpy(source.mask),
            inputs=torch.from_numpy(inputs),
            outputs=torch.from_numpy(outputs),
            units=int((self.targets.lengths[indices] + 1).sum()),
        )

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
        ordered = sorted_batches(self.batches.lengths, self.batches.batch_units)
        first = itertools.chain.from_iterable(itertools.repeat(ordered, self.epochs))
        return itertools.chain(first, self.batches)


@dataclass(frozen=True)
class SpeechData(TaskData):
    """Everything a trial needs of its corpus."""

    corpus: SpeechCorpus
    store: FeatureStore
    symbols: Symbols
    train: Split
    validation: Split
    tests: Mapping[str, Split]
    settings: SpeechSettings
    notes: tuple[str, ...] = ()

    @property
    def fingerprint(self) -> str:  # type: ignore[override]
        return self.store.fingerprint

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
            batch_units=settings.batch_units,
            seed=seed,
            ties=self.train.targets.lengths,
        )
        return StreamModule(
            Stream(self.train.batch, ShortFirst(batches, settings.short_first)),
            self.validation.in_order_of_length(settings.eval_units),
        )


def prepare(corpus: SpeechCorpus, settings: SpeechSettings, paths: Paths) -> SpeechData:
    """Compute or find the features, number the symbols.

    Raises UsageError where a sound cannot be read or the cache cannot be written.
    """
    corpus = corpus.limited(settings.train_limit, settings.test_limit)
    options = FeatureOptions(
        n_mels=settings.n_mels, deltas=settings.deltas, normalise=settings.normalise
    )
    store = prepare_features(corpus, options, paths.cache)
    symbols = Symbols(corpus.symbols)

    def split(name: str, utterances: Sequence[Utterance]) -> Split:
        targets = symbols.encode([one.units for one in utterances])
        return Split(utterances, store, store.rows[name], targets)

    return SpeechData(
        corpus=corpus,
        store=store,
        symbols=symbols,
        train=split("train", corpus.train),
        validation=split("validation", corpus.validation),
        tests={name: split(name, part) for name, part in corpus.tests.items()},
        settings=settings,
        notes=corpus.notes,
    )

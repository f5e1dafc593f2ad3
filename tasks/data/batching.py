"""Batches of similar length: bounded by padded units, shuffled by seed and epoch alone."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
import pytorch_lightning as pl
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.attention.base import WeightsKind

# Examples are sorted by length inside pools of about this many batches: long enough for little
# padding, short enough that epochs differ in more than the order of their batches.
POOL_BATCHES = 50


@dataclass(frozen=True)
class BucketBatches:
    """Batches of example indices for training.

    Attributes:
        lengths: N, units of each example that count towards the bound (target tokens).
        batch_tokens: largest (examples in the batch) x (longest of them). An example that is
            longer on its own makes a batch of one.
        seed: with the epoch's number it decides the order, and nothing else does.
        ties: N or None; orders examples of equal length (source tokens), to save padding there.
    """

    lengths: np.ndarray
    batch_tokens: int
    seed: int
    ties: np.ndarray | None = None

    def __post_init__(self) -> None:
        assert self.batch_tokens > 0
        assert self.ties is None or len(self.ties) == len(self.lengths)

    def epoch(self, number: int) -> list[np.ndarray]:
        """All batches of an epoch: every example in exactly one of them."""
        rng = np.random.default_rng([self.seed, number])
        order = rng.permutation(len(self.lengths))
        mean = max(float(np.mean(self.lengths)), 1.0) if len(order) else 1.0
        size = max(1, round(POOL_BATCHES * self.batch_tokens / mean))
        pools = np.split(order, range(size, len(order), size))
        batches = [batch for pool in pools for batch in self._cut(pool)]
        return [batches[place] for place in rng.permutation(len(batches))]

    def __iter__(self) -> Iterator[np.ndarray]:
        """Batches, epoch after epoch, without end (for training by steps)."""
        if len(self.lengths) == 0:
            return iter(())
        return itertools.chain.from_iterable(map(self.epoch, itertools.count()))

    def _cut(self, pool: np.ndarray) -> list[np.ndarray]:
        keys = (self.lengths[pool],) if self.ties is None else (self.ties[pool], self.lengths[pool])
        pool = pool[np.lexsort(keys)]  # stable: equal keys keep their shuffled order
        return np.split(pool, _borders(self.lengths[pool], self.batch_tokens))


def sorted_batches(lengths: np.ndarray, batch_tokens: int) -> list[np.ndarray]:
    """Batches of indices for evaluation: every example once, by length (shortest first).

    The same bound as `BucketBatches`; equal lengths keep their order.
    """
    order = np.argsort(lengths, kind="stable")
    if len(order) == 0:
        return []
    return np.split(order, _borders(np.asarray(lengths)[order], batch_tokens))


def _borders(ascending: np.ndarray, batch_tokens: int) -> list[int]:
    """Where to cut examples sorted by length so that each part stays within its units."""
    borders: list[int] = []
    start = 0
    while True:
        # No part can hold more examples than if all were as short as its first one.
        most = batch_tokens // max(int(ascending[start]), 1)
        window = np.maximum(ascending[start : start + most], 1)
        units = window * np.arange(1, len(window) + 1)
        start += max(int(np.searchsorted(units, batch_tokens, side="right")), 1)
        if start >= len(ascending):
            return borders
        borders.append(start)


@dataclass(frozen=True)
class Share:
    """One rank's share of a batch.

    Attributes:
        counts: False on ranks that have no example because there are fewer examples than ranks.
            The batch then repeats an example of another rank, since every rank must take part in
            every step.
    """

    batch: Any
    counts: bool = True

    @classmethod
    def of(cls, batch: Any) -> Share:
        """Wrap a batch that is not a share yet."""
        return batch if isinstance(batch, Share) else cls(batch)


def share(indices: np.ndarray, rank: int, ranks: int) -> tuple[np.ndarray, bool]:
    """The places of a rank's examples among those of a batch, and `Share.counts`.

    Neighbours stay together: they are of similar length, or show the same picture.

    Args:
        indices: B, places of the batch's examples in their split.
    """
    part = np.array_split(indices, ranks)[rank]
    return (part, True) if len(part) else (indices[:1], False)


@dataclass(frozen=True)
class Stream:
    """Batches made one by one, as they are asked for.

    Attributes:
        make: B indices to a batch.
        order: batches of indices; endless for training (`BucketBatches`), once through for
            validation (`sorted_batches`). Gone through anew by every iteration.
        skip: batches left out at the beginning; none of them is made.
        rank, ranks: with several, batches are this rank's `Share` of the examples.
    """

    make: Callable[[np.ndarray], Any]
    order: Iterable[np.ndarray]
    skip: int = 0
    rank: int = 0
    ranks: int = 1

    def __iter__(self) -> Iterator[Any]:
        for indices in itertools.islice(self.order, self.skip, None):
            if self.ranks == 1:
                yield self.make(indices)
            else:
                part, counts = share(indices, self.rank, self.ranks)
                yield Share(self.make(part), counts)


class StreamModule(pl.LightningDataModule):
    """Serves two streams. Making a batch takes well under a millisecond, so no worker processes
    are started for it."""

    def __init__(self, train: Stream, validation: Stream) -> None:
        super().__init__()
        self._train, self._validation = train, validation

    def skip_training(self, steps: int) -> None:
        """Leave out the batches of these steps, for a training that goes on after them."""
        self._train = replace(self._train, skip=steps)

    def share(self, rank: int, ranks: int) -> None:
        """Serve this rank's share of every batch."""
        self._train = replace(self._train, rank=rank, ranks=ranks)
        self._validation = replace(self._validation, rank=rank, ranks=ranks)

    def train_dataloader(self) -> Stream:
        return self._train

    def val_dataloader(self) -> Stream:
        return self._validation


@dataclass(frozen=True)
class TensorBatch:
    """B examples, padded; fields are tensors or plain data.

    Attributes:
        index: B int64, places of the examples in their split.
        source: input of the front end: B,S int64 tokens, B,S,F features, or pictures.
        source_mask: B,S bool, True where real.
        gold: B,T,S float32, for each target unit the gold distribution over the memory's positions,
            zeros where it has none; None where nobody asks for it.
    """

    index: Tensor
    source: Tensor
    source_mask: Tensor
    gold: Tensor | None = field(default=None, kw_only=True)

    def to(self, device: torch.device | str) -> Self:
        """The same batch with its tensors on a device."""
        moved: dict[str, Any] = {
            name: value.to(device, non_blocking=True)
            for name, value in vars(self).items()
            if isinstance(value, Tensor | Copies)
        }
        return replace(self, **moved)


@dataclass(frozen=True)
class Copies:
    """What a pointer may copy in a batch. Ids are those of the target vocabulary; words that it
    lacks have ids of this batch, counted on from its size.

    Attributes:
        source: B,S int64, the word of every source position.
        outputs: B,T int64, targets and end token, as `Batch.outputs`; a word that the vocabulary
            lacks has its id where the example's own source has it, else that of unknown words.
        words: the words that the vocabulary lacks, in the order of their ids.
    """

    source: Tensor
    outputs: Tensor
    words: tuple[str, ...] = ()

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> Copies:
        """The same with its tensors on a device."""
        source = self.source.to(device, non_blocking=non_blocking)
        return Copies(source, self.outputs.to(device, non_blocking=non_blocking), self.words)


@dataclass(frozen=True)
class Batch(TensorBatch):
    """B examples with targets.

    Attributes:
        inputs: B,T int64, begin token and targets; PAD after the end.
        outputs: B,T int64, targets and end token; PAD after it.
        segments: B,S int64 segment of every source position, or None.
        units: number of target units in `outputs`, counted on the host.
        copies: what may be copied, for models with a pointer.
    """

    inputs: Tensor
    outputs: Tensor
    segments: Tensor | None = None
    units: int = 0
    copies: Copies | None = None


@dataclass(frozen=True)
class LabelledBatch(TensorBatch):
    """B examples of classification: a text to read with attention over the source, a class.

    Attributes:
        text: B,T+1 int64, words and end token; padding after it.
        labels: B int64 classes; -1 if unknown.
        segments: B,S int64 segment of every source position, or None.
        units: number of words to read, counted on the host.
    """

    text: Tensor
    labels: Tensor
    segments: Tensor | None = None
    units: int = 0


@dataclass(frozen=True)
class Matrices:
    """Weights of a batch as arrays: B,T,S each, padding still there.

    Attributes:
        weights: None where there are none.
        parts: further matrices by name.
    """

    weights: np.ndarray | None
    parts: Mapping[str, np.ndarray]

    @classmethod
    def of(
        cls,
        weights: Tensor | None,
        parts: Mapping[str, Tensor],
        kind: WeightsKind = "distribution",
    ) -> Matrices:
        """Arrays of the tensors B,T,S. What is no distribution is made one: every weight becomes
        its share of the sum of absolute values; rows of zeros stay."""
        array = _array if kind == "distribution" else _shares
        return cls(
            None if weights is None else array(weights),
            {name: array(part) for name, part in parts.items()},
        )

    def example(
        self, row: int, target: int, source: int, *, with_parts: bool
    ) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
        """Weights and parts of one example, cut to its own `target` and `source` units."""
        # Copies: views would keep the whole batch in memory.
        parts = {
            name: part[row, :target, :source].copy()
            for name, part in self.parts.items()
            if with_parts
        }
        weights = None if self.weights is None else self.weights[row, :target, :source].copy()
        return weights, parts


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.float().cpu().numpy()


def _shares(tensor: Tensor) -> np.ndarray:
    return F.normalize(tensor.float(), p=1.0, dim=-1).abs().cpu().numpy()

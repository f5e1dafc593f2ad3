"""Batches of pictures with several captions each: a picture is encoded once for all of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from torch import Tensor

from tasks.batching import BucketBatches
from tasks.generation import Batch


@dataclass(frozen=True)
class CaptionBatch(Batch):
    """B captions of P pictures. `source` is P,H,W,3 uint8 and `source_mask` P,L.

    Attributes:
        owner: B int64, the picture of each caption, as its place in `source`.
        words: P,V share of each picture's captions that use each word, or None.
    """

    owner: Tensor = field(kw_only=True)
    words: Tensor | None = None


@dataclass(frozen=True)
class CaptionOrder:
    """Batches of captions for training, without end.

    Pictures with captions of similar length come together; of each, `captions` are drawn.

    Attributes:
        first: N+1, number of each picture's first caption; captions are numbered through.
        lengths: target units of every caption.
        batch_units: most units of a batch, padding counted.
        seed: with the batch's number it decides what is drawn.
    """

    first: np.ndarray
    lengths: np.ndarray
    captions: int
    batch_units: int
    seed: int

    def __iter__(self) -> Iterator[np.ndarray]:
        """Numbers of captions, those of a picture side by side."""
        counts = np.minimum(np.diff(self.first), self.captions)
        longest = np.maximum.reduceat(self.lengths, self.first[:-1])
        pictures = BucketBatches(longest * counts, self.batch_units, self.seed)
        for number, batch in enumerate(pictures):
            yield self._drawn(batch, np.random.default_rng([self.seed, number]))

    def _drawn(self, pictures: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        counts = np.diff(self.first)[pictures]  # P
        keys = rng.random((len(pictures), int(counts.max())))
        keys[np.arange(keys.shape[1]) >= counts[:, None]] = np.inf
        drawn = keys.argsort(axis=1)[:, : self.captions]  # P,K
        return (self.first[pictures][:, None] + drawn)[drawn < counts[:, None]]

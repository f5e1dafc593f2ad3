"""From an order of indices to batches, and the Lightning data module that serves them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytorch_lightning as pl

from tasks.ranks import Share, share


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

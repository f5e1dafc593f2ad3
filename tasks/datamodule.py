"""From an order of indices to batches, and the Lightning data module that serves them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytorch_lightning as pl


@dataclass(frozen=True)
class Stream:
    """Batches made one by one, as they are asked for.

    Attributes:
        make: B indices to a batch.
        order: batches of indices; endless for training (`BucketBatches`), once through for
            validation (`sorted_batches`). Gone through anew by every iteration.
        skip: batches left out at the beginning; none of them is made.
    """

    make: Callable[[np.ndarray], Any]
    order: Iterable[np.ndarray]

    skip: int = 0

    def __iter__(self) -> Iterator[Any]:
        return (self.make(indices) for indices in itertools.islice(self.order, self.skip, None))


class StreamModule(pl.LightningDataModule):
    """Serves two streams. Making a batch takes well under a millisecond, so no worker processes
    are started for it."""

    def __init__(self, train: Stream, validation: Stream) -> None:
        super().__init__()
        self._train, self._validation = train, validation

    def skip_training(self, steps: int) -> None:
        """Leave out the batches of these steps, for a training that goes on after them."""
        self._train = replace(self._train, skip=steps)

    def train_dataloader(self) -> Stream:
        return self._train

    def val_dataloader(self) -> Stream:
        return self._validation

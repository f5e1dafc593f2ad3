"""Data-parallel training: each rank trains on its share of every batch.

Together the ranks compute what one process computes on the whole batch: each rank's mean loss is
weighted by the number of units it is a mean over, and counts are summed. Random draws are each
rank's own, so dropout and sampled locations differ as they do between seeds. Terms of the loss that
are means over something else than its units (the doubly stochastic penalty is one over examples)
get the same weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

Plain = TypeVar("Plain")


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


class ProcessGroup:
    """The ranks that train one model together: here, one process on its own."""

    rank = 0
    count = 1

    def weighted(self, loss: Tensor, count: int) -> Tensor:
        """This rank's term of the mean loss over the whole batch.

        Args:
            loss: mean loss over this rank's share.
            count: number of units it is a mean over.
        """
        return loss

    def sum(self, values: Tensor) -> Tensor:
        """Elementwise sum over all ranks."""
        return values

    def mean(self, values: Tensor) -> Tensor:
        """Elementwise mean over all ranks."""
        return values

    def broadcast(self, value: Plain) -> Plain:
        """The value that rank 0 passed: plain data or a tensor."""
        return value

    def gather(self, value: Plain) -> list[Plain]:
        """The values of all ranks in their order, on rank 0; an empty list on the others."""
        return [value]


class DistributedGroup(ProcessGroup):
    """torch's default process group, which must have gloo for CPU tensors.

    All ranks must call the same methods in the same order.
    """

    def __init__(self) -> None:
        self.rank, self.count = dist.get_rank(), dist.get_world_size()

    def weighted(self, loss: Tensor, count: int) -> Tensor:
        # Counts are summed on the host, where they are known, so as not to wait for the device.
        total = int(self.sum(torch.tensor(count)))
        return loss * (count / max(total, 1))

    def sum(self, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    def mean(self, values: Tensor) -> Tensor:
        return self.sum(values) / self.count

    def broadcast(self, value: Plain) -> Plain:
        if isinstance(value, Tensor):
            dist.broadcast(value, src=0)
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def gather(self, value: Plain) -> list[Plain]:
        values: list[Any] = [None] * self.count
        dist.gather_object(value, values if self.rank == 0 else None, dst=0)
        return values if self.rank == 0 else []

"""Several processes that train one model: each takes its share of every batch.

What they do together equals what one process does with the whole batch: losses are weighted by
what they are means over, and what is counted is summed. (Draws are each rank's own, so dropout and
sampled locations differ as they do between seeds.) Terms that are means over something else than
the rest of the loss, as the doubly stochastic penalty over examples, get the same weights.
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
    """One rank's part of a batch.

    Attributes:
        counts: False where there are fewer examples than ranks. The batch then repeats an example
            of another rank, since all ranks must go through the same steps.
    """

    batch: Any
    counts: bool = True

    @classmethod
    def of(cls, batch: Any) -> Share:
        """A batch or a share as a share."""
        return batch if isinstance(batch, Share) else cls(batch)


def share(indices: np.ndarray, rank: int, ranks: int) -> tuple[np.ndarray, bool]:
    """The rank's part of B examples, and whether it counts (`Share.counts`). Neighbours stay
    together: they are of similar length, or show the same picture."""
    part = np.array_split(indices, ranks)[rank]
    return (part, True) if len(part) else (indices[:1], False)


class Ranks:
    """A process that trains alone; what several do together changes nothing then."""

    rank = 0
    count = 1

    def part(self, loss: Tensor, weight: int) -> Tensor:
        """What the mean loss of this rank's share adds to that of the whole batch.

        Args:
            weight: what it is a mean over, in number.
        """
        return loss

    def total(self, sums: Tensor) -> Tensor:
        """The sums over all ranks."""
        return sums

    def mean(self, values: Tensor) -> Tensor:
        """The mean over all ranks."""
        return values

    def of_first(self, value: Plain) -> Plain:
        """What rank 0 has: plain data or tensors."""
        return value

    def gathered(self, value: Plain) -> list[Plain]:
        """What every rank has, in their order, on rank 0; others get an empty list."""
        return [value]


class SeveralRanks(Ranks):
    """One of the processes of torch's default process group, which must have gloo for CPU tensors.

    Every method must be called by all ranks alike.
    """

    def __init__(self) -> None:
        self.rank, self.count = dist.get_rank(), dist.get_world_size()

    def part(self, loss: Tensor, weight: int) -> Tensor:
        # On the host, where the weight is known: the device is not waited for.
        whole = int(self.total(torch.tensor(weight)))
        return loss * (weight / max(whole, 1))

    def total(self, sums: Tensor) -> Tensor:
        sums = sums.clone()
        dist.all_reduce(sums)
        return sums

    def mean(self, values: Tensor) -> Tensor:
        return self.total(values) / self.count

    def of_first(self, value: Plain) -> Plain:
        if isinstance(value, Tensor):
            dist.broadcast(value, src=0)
            return value
        held = [value]
        dist.broadcast_object_list(held, src=0)
        return held[0]

    def gathered(self, value: Plain) -> list[Plain]:
        found: list[Any] = [None] * self.count
        dist.gather_object(value, found if self.rank == 0 else None, dst=0)
        return found if self.rank == 0 else []

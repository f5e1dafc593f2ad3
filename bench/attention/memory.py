"""What an encoder hands to a decoder: states to attend to, their mask, and the fixed vector."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Memory:
    """The encoded input of a batch.

    Attributes:
        states: B,S,D the states that are scored (and averaged, unless `values` is given).
        mask: B,S bool, True where a position is real. Every row has at least one.
        summary: B,D the fixed vector, all that the control `none` may see.
        values: B,S,D what is averaged where that differs from what is scored (Gehring 2017).
        segments: B,S int64, number of the segment each position belongs to, counted from 0, in
            any order along S; padding may hold anything. Used by `hierarchical`.
        grid: rows and columns where positions are cells of a picture, in raster order.
    """

    states: Tensor
    mask: Tensor
    summary: Tensor
    values: Tensor | None = None
    segments: Tensor | None = None
    grid: tuple[int, int] | None = None

    def select(self, index: Tensor) -> Memory:
        """The rows `index` (int64, any length) of the batch; rows may repeat."""
        return replace(
            self,
            states=self.states[index],
            mask=self.mask[index],
            summary=self.summary[index],
            values=None if self.values is None else self.values[index],
            segments=None if self.segments is None else self.segments[index],
        )

    @property
    def lengths(self) -> Tensor:
        """B int64: real positions of each row."""
        return self.mask.sum(dim=1)


def lengths_to_mask(lengths: Tensor, size: int) -> Tensor:
    """B,S bool with True before each length."""
    return torch.arange(size, device=lengths.device)[None, :] < lengths[:, None]


#: From so many numbers on, a look at the mask of a CPU's batch costs less than filling in zeros
#: where there is nothing to fill.
LOOK_FROM = 2**16


def zero_padding(states: Tensor, mask: Tensor) -> Tensor:
    """B,S,D with zeros where B,S is False, whatever stood there."""
    if (
        mask.device.type == "cpu"
        and states.numel() >= LOOK_FROM
        and not torch._C._are_functorch_transforms_active()
        and bool(mask.all())
    ):
        return states
    return states.masked_fill(~mask[:, :, None], 0.0)

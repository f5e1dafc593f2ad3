"""Where a token stands, for models that do not read in order."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from bench.errors import UsageError


def sinusoids(start: int, length: int, like: Tensor) -> Tensor:
    """Sines and cosines of the positions start .. start+length-1 (Vaswani 2017, section 3.5).

    The first half of the dimensions are the sines, the second the cosines, which is the paper's
    encoding but for the order of its dimensions.

    Args:
        like: ...,D gives size, type and device.

    Returns:
        length,D.
    """
    size = like.shape[-1]
    half = (size + 1) // 2
    positions = torch.arange(start, start + length, device=like.device, dtype=torch.float32)
    exponents = torch.arange(half, device=like.device, dtype=torch.float32) / max(half - 1, 1)
    angles = positions[:, None] * torch.exp(exponents * -math.log(10_000.0))  # length,D/2
    return torch.cat((angles.sin(), angles.cos()), dim=1)[:, :size].to(like.dtype)


class LearnedPositions(nn.Module):
    """A learned vector for every position (Gehring 2017, section 3.1)."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(count, size)
        nn.init.normal_(self.table.weight, std=size**-0.5)

    def forward(self, start: int, length: int) -> Tensor:
        """length,E for the positions start .. start+length-1.

        Raises:
            UsageError: a position that was never made.
        """
        count = self.table.num_embeddings
        if start + length > count:
            raise UsageError(
                f"a sequence of {start + length} units has only {count} learned positions",
                remedy="raise max_positions or shorten the sequences",
            )
        return self.table.weight[start : start + length]

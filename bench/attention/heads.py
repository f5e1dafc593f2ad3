"""Heads: slices of a vector that are treated alike, each with parameters of its own."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def split_heads(vectors: Tensor, heads: int) -> Tensor:
    """B,N,D to B,H,N,D/H; a view."""
    if heads == 1:
        return vectors.unsqueeze(1)
    return vectors.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(vectors: Tensor) -> Tensor:
    """B,H,N,D to B,N,H*D; undoes `split_heads`."""
    if vectors.shape[1] == 1:
        return vectors.squeeze(1)
    return vectors.transpose(1, 2).flatten(-2)


class HeadLinear(nn.Module):
    """One linear map per head: B,N,I to B,H,N,O, head h mapping its slice of size I/H.

    Args:
        inputs: I, size of the vectors, all heads together.
        outputs: O, size of the result of each head.
        heads: H; must divide I.
        bias: whether a vector is added.
    """

    def __init__(self, inputs: int, outputs: int, heads: int = 1, *, bias: bool = True) -> None:
        super().__init__()
        assert inputs % heads == 0, f"{inputs} does not split into {heads} heads"
        size = inputs // heads
        bound = 1 / math.sqrt(size)  # that of nn.Linear
        self.heads = heads
        self.weight = nn.Parameter(torch.empty(heads, outputs, size).uniform_(-bound, bound))
        self.bias = (
            nn.Parameter(torch.empty(heads, outputs).uniform_(-bound, bound)) if bias else None
        )

    def forward(self, vectors: Tensor) -> Tensor:
        if self.heads == 1:
            bias = None if self.bias is None else self.bias[0]
            return F.linear(vectors, self.weight[0], bias).unsqueeze(1)  # B,1,N,O
        # matmul would copy the weights for every example; einsum folds B and N together.
        split = split_heads(vectors, self.heads)  # B,H,N,I
        mapped = torch.einsum("bhni,hoi->bhno", split, self.weight)
        return mapped if self.bias is None else mapped + self.bias[:, None]

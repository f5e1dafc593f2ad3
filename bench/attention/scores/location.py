"""The score of places in the source, whatever stands there."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from torch import Tensor, nn

from bench.attention.base import DotScore
from bench.attention.heads import split_heads
from bench.attention.registries import scores
from bench.errors import UsageError


@scores.register("location")
class Location(DotScore):
    """e_s = (W_a h)_s: the decoder state says which place to attend to, and what stands there has
    no part in it (Luong 2015, equation 8, "location": a = softmax(W_a h)).

    W_a has a row of size Q for each of `source_positions` places; a shorter source takes the first
    rows (as in the paper), a longer one is refused. Positions of a picture are taken in raster
    order. So that windows and fused kernels serve as they do for other products, row s is what the
    key at place s is projected to.

    Raises:
        UsageError: a source longer than `source_positions`.
    """

    summary = "one row of a matrix per place in the source; sees the decoder state only"
    formula = "(W h)_s"
    citation = "Luong 2015"
    positional = True
    option_names: ClassVar[tuple[str, ...]] = ("source_positions",)

    def __init__(
        self, query_size: int, key_size: int, heads: int = 1, source_positions: int = 1024
    ) -> None:
        super().__init__(query_size, key_size, heads)
        size = query_size // heads
        bound = 1 / math.sqrt(size)
        self.places = nn.Parameter(
            torch.empty(heads, source_positions, size).uniform_(-bound, bound)
        )

    def project_keys(self, keys: Tensor) -> Tensor:
        B, S = keys.shape[:2]
        known = self.places.shape[1]
        if known < S:
            raise UsageError(
                f"a source of {S} positions has only {known} places in the score 'location'",
                where="source_positions",
                remedy="raise it, or shorten the sources",
            )
        return self.places[:, :S].expand(B, -1, -1, -1)  # B,H,S,Q/H

    def as_dot(self, query: Tensor) -> tuple[Tensor, float]:
        return split_heads(query, self.heads), 1.0

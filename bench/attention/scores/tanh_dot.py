"""The dot product of squashed projections."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from bench.attention.base import NOTHING, Score
from bench.attention.heads import HeadLinear
from bench.attention.registries import scores


@scores.register("tanh-dot")
class TanhDot(Score):
    """e = tanh(W h + b) . tanh(U s + c) / sqrt(A), with A the size of the projections of one head
    (AttDot and, with `heads`, AttMultiHeadDot of ESPnet).

    No energy is beyond sqrt(A), however large states grow. A is that of a key unless
    `attention_size` says otherwise. AttDot multiplies by 2 in place of 1/sqrt(A), and
    AttMultiHeadDot has no biases. Keys are squashed when they are compared, not before, so that
    what is projected stays affine in the keys.
    """

    summary = "inner product of projected query and key, each under a tanh"
    formula = "tanh(W h) . tanh(U s) / sqrt(d)"
    citation = "Watanabe 2018"
    option_names = ("attention_size",)

    def __init__(
        self, query_size: int, key_size: int, heads: int = 1, attention_size: int | None = None
    ) -> None:
        super().__init__(query_size, key_size, heads)
        size = attention_size or key_size // heads
        self.query = HeadLinear(query_size, size, heads)
        self.key = HeadLinear(key_size, size, heads)
        self.factor = 1 / math.sqrt(size)

    def project_keys(self, keys: Tensor) -> Tensor:
        projected: Tensor = self.key(keys)
        return projected  # B,H,S,A

    def forward(
        self, query: Tensor, projected: Tensor, remembered: Mapping[str, Tensor] = NOTHING
    ) -> Tensor:
        squashed = torch.tanh(self.query(query)) * self.factor  # B,H,T,A
        return squashed @ torch.tanh(projected).transpose(-1, -2)  # B,H,T,S

"""The bilinear score under a tanh."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.attention.base import NOTHING, Score
from bench.attention.heads import HeadLinear, split_heads
from bench.attention.registries import scores


@scores.register("bilinear-tanh")
class BilinearTanh(Score):
    """e = tanh(h W s + b) (Ma 2017, interactive attention networks).

    Energies lie between -1 and 1, so no softmax weight is more than e^2, some 7.4 times, another.
    """

    summary = "bilinear form under a tanh"
    formula = "tanh(h W s + b)"
    citation = "Ma 2017"

    def __init__(self, query_size: int, key_size: int, heads: int = 1) -> None:
        super().__init__(query_size, key_size, heads)
        self.matrix = HeadLinear(key_size, query_size // heads, heads, bias=False)
        self.bias = nn.Parameter(torch.zeros(heads, 1, 1))

    def project_keys(self, keys: Tensor) -> Tensor:
        projected: Tensor = self.matrix(keys)
        return projected  # B,H,S,Q/H

    def forward(
        self, query: Tensor, projected: Tensor, remembered: Mapping[str, Tensor] = NOTHING
    ) -> Tensor:
        products = split_heads(query, self.heads) @ projected.transpose(-1, -2)  # B,H,T,S
        return torch.tanh(products + self.bias)

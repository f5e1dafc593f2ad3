"""The bilinear score."""

from __future__ import annotations

from torch import Tensor

from bench.attention.base import DotScore
from bench.attention.heads import HeadLinear, split_heads
from bench.attention.registries import scores


@scores.register("general")
class General(DotScore):
    """e = h W s (Luong 2015, equation 8).

    W is applied to the keys: that is done once per batch, not at every step.
    """

    summary = "bilinear form, one matrix"
    formula = "h W s"
    citation = "Luong 2015"

    def __init__(self, query_size: int, key_size: int, heads: int = 1) -> None:
        super().__init__(query_size, key_size, heads)
        self.matrix = HeadLinear(key_size, query_size // heads, heads, bias=False)

    def project_keys(self, keys: Tensor) -> Tensor:
        projected: Tensor = self.matrix(keys)
        return projected

    def as_dot(self, query: Tensor) -> tuple[Tensor, float]:
        return split_heads(query, self.heads), 1.0

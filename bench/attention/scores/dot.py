"""The dot product, plain and scaled."""

from __future__ import annotations

import math

from torch import Tensor

from bench.attention.heads import split_heads
from bench.attention.registries import scores
from bench.attention.scores import DotScore


@scores.register("dot")
class Dot(DotScore):
    """e = h . s (Luong 2015, equation 8)."""

    summary = "inner product of query and key; no parameters"
    formula = "h . s"
    source = "Luong 2015"

    @classmethod
    def refusal(cls, query_size: int, key_size: int) -> str | None:
        if query_size != key_size:
            return f"dot needs equal sizes, queries have {query_size} and keys {key_size}"
        return None

    def project_keys(self, keys: Tensor) -> Tensor:
        return split_heads(keys, self.heads)

    def as_dot(self, query: Tensor) -> tuple[Tensor, float]:
        return split_heads(query, self.heads), 1.0


@scores.register("scaled-dot")
class ScaledDot(Dot):
    """e = h . s / sqrt(d), with d the size of one head (Vaswani 2017, equation 1)."""

    summary = "inner product over the square root of the size; no parameters"
    formula = "h . s / sqrt(d)"
    source = "Vaswani 2017"

    def as_dot(self, query: Tensor) -> tuple[Tensor, float]:
        vectors, _ = super().as_dot(query)
        return vectors, 1 / math.sqrt(vectors.shape[-1])

"""The dot product, scaled."""

from __future__ import annotations

import math

from torch import Tensor

from bench.attention.registries import scores
from bench.attention.scores.dot import Dot


@scores.register("scaled-dot")
class ScaledDot(Dot):
    """e = h . s / sqrt(d), with d the size of one head, or the `attention_size` (Vaswani 2017,
    equation 1)."""

    summary = "inner product over the square root of the size; no parameters"
    formula = "h . s / sqrt(d)"
    citation = "Vaswani 2017"

    def as_dot(self, query: Tensor) -> tuple[Tensor, float]:
        vectors, _ = super().as_dot(query)
        return vectors, 1 / math.sqrt(vectors.shape[-1])

"""The cosine."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import NOTHING
from bench.attention.registries import scores
from bench.attention.scores.dot import Dot


@scores.register("cosine")
class Cosine(Dot):
    """e = g h . s / (|h| |s|), with a learned sharpness g > 0 per head.

    Graves 2014, equations 5 and 6, where the network chooses the sharpness (beta) at every step;
    Liu 2022, equation 2, learns its inverse per head. g starts at 10 and is at most 100, as in the
    code of the latter. Keys are normalised when they are compared, not before, so that what is
    projected stays affine in the keys.
    """

    summary = "cosine of query and key, times a learned sharpness"
    formula = "g cos(h, s)"
    citation = "Graves 2014, Liu 2022"
    products = False

    def __init__(
        self, query_size: int, key_size: int, heads: int = 1, attention_size: int | None = None
    ) -> None:
        super().__init__(query_size, key_size, heads, attention_size)
        self.log_sharpness = nn.Parameter(torch.full((heads, 1, 1), math.log(10.0)))

    def as_dot(self, query: Tensor) -> None:  # type: ignore[override]
        """None: it is a product of normalised keys."""

    def forward(
        self, query: Tensor, projected: Tensor, remembered: Mapping[str, Tensor] = NOTHING
    ) -> Tensor:
        vectors, _ = super().as_dot(query)
        sharpness = self.log_sharpness.clamp_max(math.log(100.0)).exp()  # H,1,1
        vectors = F.normalize(vectors, dim=-1) * sharpness  # B,H,T,K
        return vectors @ F.normalize(projected, dim=-1).transpose(-1, -2)  # B,H,T,S

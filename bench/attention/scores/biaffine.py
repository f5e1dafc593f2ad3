"""The biaffine score."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from bench.attention.base import DotScore
from bench.attention.heads import HeadLinear, split_heads
from bench.attention.registries import scores


@scores.register("biaffine")
class Biaffine(DotScore):
    """e = h U s + w . [h ; s] + b (Dozat 2017, section 2.2; there between the words of a sentence).

    It is a bilinear form of [h ; 1] and [s ; 1]: keys are projected to [U s + w_h ; w_s . s + b].
    Under a softmax the terms of h alone and b cancel, and what is added to `general` is how much a
    position is attended to whatever the query is; under other normalisers all terms count.
    """

    summary = "bilinear form plus a linear one of query and key"
    formula = "h U s + w . [h ; s] + b"
    citation = "Dozat 2017"

    def __init__(self, query_size: int, key_size: int, heads: int = 1) -> None:
        super().__init__(query_size, key_size, heads)
        self.matrix = HeadLinear(key_size, query_size // heads + 1, heads)

    def project_keys(self, keys: Tensor) -> Tensor:
        projected: Tensor = self.matrix(keys)
        return projected  # B,H,S,Q/H+1

    def as_dot(self, query: Tensor) -> tuple[Tensor, float]:
        return F.pad(split_heads(query, self.heads), (0, 1), value=1.0), 1.0  # [h ; 1]

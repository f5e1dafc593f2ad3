"""The trilinear score."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import DotScore
from bench.attention.heads import split_heads
from bench.attention.registries import scores


@scores.register("trilinear")
class Trilinear(DotScore):
    """e = w . [h ; s ; h * s], with * element by element (Seo 2017, equation 1: the
    attention flow layer of BiDAF).

    It is the product of [h ; 1] with keys projected to [w_m * s + w_h ; w_s . s]. Under a softmax
    over the keys the term of h alone cancels.
    """

    summary = "linear in query, key and their element-wise product"
    formula = "w . [h ; s ; h * s]"
    citation = "Seo 2017"

    def __init__(self, query_size: int, key_size: int, heads: int = 1) -> None:
        super().__init__(query_size, key_size, heads)
        size = key_size // heads
        bound = 1 / math.sqrt(3 * size)  # that of a linear layer over the three
        self.query, self.key, self.product = (
            nn.Parameter(torch.empty(heads, size).uniform_(-bound, bound)) for _ in range(3)
        )

    @classmethod
    def refusal(cls, query_size: int, key_size: int) -> str | None:
        if query_size != key_size:
            return f"trilinear needs equal sizes, queries have {query_size} and keys {key_size}"
        return None

    def project_keys(self, keys: Tensor) -> Tensor:
        split = split_heads(keys, self.heads)  # B,H,S,K
        scaled = split * self.product[:, None] + self.query[:, None]
        return torch.cat([scaled, split @ self.key[..., None]], -1)  # B,H,S,K+1

    def as_dot(self, query: Tensor) -> tuple[Tensor, float]:
        return F.pad(split_heads(query, self.heads), (0, 1), value=1.0), 1.0  # [h ; 1]

"""The additive score that also sees how much every position was attended to so far."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from bench.attention.base import NOTHING, Remembered
from bench.attention.heads import HeadLinear
from bench.attention.registries import scores
from bench.attention.scores.concat import Concat, additive


@scores.register("coverage")
class Coverage(Concat):
    """e = v . tanh(W_q h + W_k s + w_c c + b), c = the sum of all weights before (See 2017,
    equation 11; Tu 2016, section 3.1, with a coverage of one number).

    See 2017 also adds a loss for attending again to what is covered; that is an option of its own,
    `coverage_loss`, and goes with every score.

    With a `coverage_fertility` N, c is divided by N sigmoid(u . s), the total weight that a
    position is expected to get (Tu 2016, section 3.1.1: linguistic coverage; N = 2 in the paper).
    Since that does not change from step to step, the sum is divided and not every weight.
    """

    summary = "additive, with the sum of all weights so far"
    formula = "v . tanh(W [h ; s] + w c)"
    citation = "Tu 2016, See 2017"
    reads: frozenset[Remembered] = frozenset({"coverage"})
    option_names = ("attention_size", "coverage_fertility")

    def __init__(
        self,
        query_size: int,
        key_size: int,
        heads: int = 1,
        attention_size: int | None = None,
        coverage_fertility: float = 0.0,
    ) -> None:
        super().__init__(query_size, key_size, heads, attention_size)
        size = self.vector.shape[1]
        bound = 1 / math.sqrt(size)
        self.covered = nn.Parameter(torch.empty(heads, size).uniform_(-bound, bound))
        self.fertility = coverage_fertility
        self.expected = HeadLinear(key_size, 1, heads) if coverage_fertility else None

    def project_keys(self, keys: Tensor) -> Tensor:
        projected = super().project_keys(keys)  # B,H,S,A
        if self.expected is None:
            return projected
        return torch.cat([projected, self.expected(keys)], -1)  # B,H,S,A+1

    def forward(
        self, query: Tensor, projected: Tensor, remembered: Mapping[str, Tensor] = NOTHING
    ) -> Tensor:
        assert query.shape[1] == 1, "coverage goes step by step"
        coverage = remembered["coverage"][..., None]  # B,H,S,1
        if self.expected is not None:
            projected, expected = projected[..., :-1], projected[..., -1:]
            coverage = coverage / (self.fertility * torch.sigmoid(expected))
        keys = projected + coverage.to(projected.dtype) * self.covered[:, None]  # B,H,S,A
        return additive(self.query(query), keys, self.vector)

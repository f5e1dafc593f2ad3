"""The additive score."""

from __future__ import annotations

import math
from typing import ClassVar, Self

import torch
from torch import Tensor, nn

from bench.attention.base import AttentionOptions
from bench.attention.chunks import in_chunks
from bench.attention.heads import HeadLinear
from bench.attention.registries import scores
from bench.attention.scores import Score


@scores.register("concat")
class Concat(Score):
    """e = v . tanh(W [h ; s] + b) (Bahdanau 2015, appendix A.1.2; Luong 2015, equation 8).

    W is kept as two maps, W_q h + W_k s, so that keys are projected once. The attention size is
    that of a key unless `attention_size` says otherwise; per head where there are heads.
    """

    summary = "additive: a hidden layer over query and key"
    formula = "v . tanh(W [h ; s])"
    source = "Bahdanau 2015"

    #: How many times larger the first weights are than those of other projections.
    gain: ClassVar[float] = 6.0
    #: Mean size of the first offsets.
    offset: ClassVar[float] = 2.0

    def __init__(
        self, query_size: int, key_size: int, heads: int = 1, attention_size: int | None = None
    ) -> None:
        super().__init__(query_size, key_size, heads)
        size = attention_size or key_size // heads
        bound = 1 / math.sqrt(size)
        self.query = HeadLinear(query_size, size, heads, bias=False)
        self.key = HeadLinear(key_size, size, heads)
        self.vector = nn.Parameter(torch.empty(heads, size).uniform_(-bound, bound))
        self._start()

    def _start(self) -> None:
        """Begin as a similarity.

        With small first weights tanh is nearly linear, the score is a sum of one term for the query
        and one for the key, and the softmax over keys cancels the first: attention starts out blind
        to the query. With W_q = -W_k, offsets of both signs and v of the same signs, the score
        starts as a bump, highest where query and key agree, as products do. Sizes that differ
        leave nothing to agree: their weights are only larger.
        """
        with torch.no_grad():
            for projection in (self.query, self.key):
                projection.weight.mul_(self.gain)
            if self.query.weight.shape != self.key.weight.shape:
                return
            self.query.weight.copy_(-self.key.weight)
            offsets = self.key.bias
            assert offsets is not None
            signs = torch.ones_like(offsets)  # H,A
            signs[:, 1::2] = -1.0
            offsets.copy_(signs * self.offset * (0.5 + torch.rand_like(offsets)))
            self.vector.copy_(signs * self.vector.abs())

    @classmethod
    def _from_options(
        cls, query_size: int, key_size: int, heads: int, options: AttentionOptions | None
    ) -> Self:
        return cls(query_size, key_size, heads, getattr(options, "attention_size", None))

    def project_keys(self, keys: Tensor) -> Tensor:
        projected: Tensor = self.key(keys)
        return projected  # B,H,S,A

    def forward(self, query: Tensor, projected: Tensor, previous: Tensor | None = None) -> Tensor:
        return additive(self.query(query), projected, self.vector)


def additive(queries: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
    """v . tanh(query + key) for all pairs: B,H,T,A and B,H,S,A and H,A to B,H,T,S."""

    def energies(rows: Tensor) -> Tensor:
        hidden = (rows.unsqueeze(-2) + keys.unsqueeze(-3)).tanh_()  # B,H,T,S,A
        if len(vector) == 1:
            return hidden @ vector[0]
        return torch.einsum("bhtsa,ha->bhts", hidden, vector)

    return in_chunks(energies, queries, dim=2, row_size=keys.numel())

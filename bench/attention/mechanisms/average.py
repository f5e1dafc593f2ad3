"""Average attention: the mean of all positions so far in place of the decoder's self-attention."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from bench.attention.base import AttentionOptions, Keys, Sizes
from bench.attention.mechanisms.uniform import UniformAttention
from bench.attention.registries import attentions


class AverageOptions(AttentionOptions):
    average_ffn_dim: int | None = Field(
        None, ge=1, description="inner size of the layers over the mean; 4 times a state if unset"
    )


@attentions.register("average")
class AverageAttention(UniformAttention):
    """Average attention network (Zhang 2018, equations 3 to 5): for the input y_t

        g_t = FFN(1/t sum_{k<=t} y_k)
        [i ; f] = sigmoid(W [y_t ; g_t]),   h_t = i * y_t + f * g_t

    It stands in the Transformer decoder's own slot; encoder and cross-attention are multi-head
    attention. Decoding keeps all states and averages them anew, where the paper keeps their sum.
    """

    summary = "the Transformer decoder's self-attention is a gated cumulative mean"
    citation = "Zhang 2018"
    backbone = "transformer"
    slots = frozenset({"decoder"})
    Options = AverageOptions

    def __init__(self, sizes: Sizes, score: str, options: AverageOptions) -> None:
        super().__init__(sizes, score, options)
        inner = options.average_ffn_dim or 4 * sizes.query
        self.context_size = sizes.query
        self.inner = nn.Linear(sizes.memory, inner)
        self.outer = nn.Linear(inner, sizes.query)
        self.gates = nn.Linear(2 * sizes.query, 2 * sizes.query)

    def finish(self, context: Tensor, query: Tensor, keys: Keys) -> Tensor:
        mean = self.outer(F.relu(self.inner(context)))  # g, B,T,Q
        gates = torch.sigmoid(self.gates(torch.cat((query, mean), dim=-1)))  # B,T,2Q
        of_input, of_mean = gates.chunk(2, dim=-1)
        return of_input * query + of_mean * mean

"""Attention on attention: what was found counts as far as it answers the query."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.attention import ScoredAttention, WindowedOptions
from bench.attention.base import Keys, Sizes
from bench.attention.registries import attentions


@attentions.register("aoa")
class AttentionOnAttention(ScoredAttention):
    """A second look at the context c, in the light of the query q (Huang 2019, equations 2 to 4):
    an information vector i = W_i [q ; c] + b_i and a gate g = sigmoid(W_g [q ; c] + b_g); the new
    context is g * i, element by element.

    An irrelevant context, which a weighted mean always gives, can thus be shut out. The paper's
    attention has eight heads (`--set heads=8`), and its encoder refines regions with the same
    module, which is left out here.
    """

    summary = "an information vector of query and context, gated by both"
    citation = "Huang 2019"
    placement = "current-state"
    classic_score = "scaled-dot"
    Options = WindowedOptions

    def __init__(self, sizes: Sizes, score: str, options: WindowedOptions) -> None:
        super().__init__(sizes, score, options, window=options.window())
        #: W_i and W_g, one above the other.
        self.information_and_gate = nn.Linear(
            sizes.query + self.context_size, 2 * self.context_size
        )

    def finish(self, context: Tensor, query: Tensor, keys: Keys) -> Tensor:
        context = super().finish(context, query, keys)  # B,T,C
        both = self.information_and_gate(torch.cat((query, context), dim=-1))  # B,T,2C
        return F.glu(both, dim=-1)  # i * sigmoid(g)

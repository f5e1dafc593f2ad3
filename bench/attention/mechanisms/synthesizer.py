"""Synthesizer: self-attention whose weights are made without comparing positions."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from bench.attention.attention import AttentionWeights
from bench.attention.base import AttentionOptions, AttentionState, Keys, Sizes
from bench.attention.heads import HeadLinear, split_heads
from bench.attention.mechanisms.uniform import ContentFreeAttention
from bench.attention.registries import attentions
from bench.errors import UsageError


class SynthesizerOptions(AttentionOptions):
    synthesizer: Literal["dense", "random"] = Field(
        "dense", description="energies of the query's own state, or learned ones per position"
    )
    longest: int = Field(256, ge=1, description="N, positions that there are energies for")


@attentions.register("synthesizer")
class SynthesizerAttention(ContentFreeAttention):
    """Multi-head self-attention with synthetic energies in place of Q K^T (Tay 2020, section 3).

        dense    e_t = W_2 relu(W_1 x_t + b_1) + b_2     (equation 2), N energies of state x_t alone
        random   e_ts = R_ts                             (equation 3), learned, the same for all

    Heads have energies, values and, of W_1, a slice of their own; their number is the backbone's.
    Cross-attention is multi-head attention, as in the paper.

    Raises:
        UsageError: heads that do not divide the size; more positions than `longest`.
    """

    summary = "self-attention with energies made of one state or learned, not of pairs"
    citation = "Tay 2020"
    backbone = "transformer"
    slots = frozenset({"encoder", "decoder"})
    heads_of_backbone = True
    Options = SynthesizerOptions

    def __init__(self, sizes: Sizes, score: str, options: SynthesizerOptions) -> None:
        super().__init__(sizes, score, options)
        self.longest = options.longest
        self.key_projection = None  # W_1 is the projection of queries
        self.dense: HeadLinear | None = None
        self.random: nn.Parameter | None = None
        if options.synthesizer == "dense":
            self.dense = HeadLinear(sizes.query, self.longest, self.heads)
        else:
            self.query_projection = None
            self.random = nn.Parameter(torch.empty(self.heads, self.longest, self.longest))
            nn.init.normal_(self.random)

    def _project(self, states: Tensor, values: Tensor, first: int = 0) -> dict[str, Tensor]:
        assert self.value_projection is not None
        own = split_heads(self.value_projection(values), self.heads)  # B,H,S,V
        return {"keys": own[..., :0], "values": own}

    def weigh(
        self,
        energies: Tensor,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        mask: Tensor | None,
    ) -> AttentionWeights:
        T, S = energies.shape[2:]
        first, last = state.position, state.position + T
        if max(last, S) > self.longest:
            raise UsageError(
                f"a sequence of {max(last, S)} units is longer than the synthesizer's "
                f"{self.longest} positions",
                remedy="raise longest or shorten the sequences",
            )
        if self.dense is not None:
            made = self.dense(F.relu(self.project_query(query)))[..., :S]  # B,H,T,S
        else:
            assert self.random is not None
            made = self.random[:, first:last, :S].expand_as(energies)
        return super().weigh(made, query, keys, state, mask)

"""Attention that stays where it is or moves on."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from bench.attention.aggregation import weighted_mean
from bench.attention.attention import AttentionWeights, ScoredAttention, ScoredOptions
from bench.attention.base import AttentionState, Keys, Remembered, Sizes
from bench.attention.mechanisms.monotonic import shifted
from bench.attention.registries import attentions


class ForwardOptions(ScoredOptions):
    transition_agent: bool = Field(
        False,
        description="Zhang 2018, algorithm 2: a network of context and query says how likely "
        "attention moves on",
    )
    reach: int = Field(
        1,
        ge=1,
        description="positions that attention can move ahead in one step; 1 in Zhang 2018, where "
        "targets (frames of speech) are longer than sources",
    )


@attentions.register("forward")
class ForwardAttention(ScoredAttention):
    """The forward variable over monotonic paths (Zhang 2018, algorithms 1 and 2).

    a'_t(n) = (a_{t-1}(n) + a_{t-1}(n-1)) y_t(n), divided by its sum, with y_t the softmax of the
    energies and a_0 all on the first position. With the transition agent the first factor is
    (1 - u) a_{t-1}(n) + u a_{t-1}(n-1), u_0 = 0.5 and u_t = sigmoid(network(c_t, q_t)); the agent
    of the paper sees the decoder's last output, too.

    Computed as normaliser(e + log(first factor)): under a softmax the same, since the sum of y
    cancels, and nothing is divided by a sum that may underflow.
    """

    summary = "attention stays or moves on by a position; with a transition agent if asked"
    citation = "Zhang 2018"
    placement = "previous-state"
    classic_score = "location-aware"
    stepwise = True
    Options = ForwardOptions

    def __init__(self, sizes: Sizes, score: str, options: ForwardOptions) -> None:
        super().__init__(sizes, score, options)
        self.reach = options.reach
        self.agent = None
        if options.transition_agent:
            self.agent = nn.Sequential(
                nn.Linear(self.context_size + sizes.query, sizes.query),
                nn.Tanh(),
                nn.Linear(sizes.query, self.heads),
            )

    @property
    def reads(self) -> frozenset[Remembered]:
        return super().reads | {"previous"}

    def initial_state(self, keys: Keys) -> AttentionState:
        state = super().initial_state(keys)
        if self.agent is None:
            return state
        even = state.tensors["previous"].new_full((len(keys.memory.mask), self.heads), 0.5)
        return AttentionState(0, {**state.tensors, "moves": even})  # B,H

    def weigh(
        self,
        energies: Tensor,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        mask: Tensor | None,
    ) -> AttentionWeights:
        # First factor: what comes from the same position and from those before it.
        dtype = torch.promote_types(energies.dtype, torch.float32)
        stay = state.tensors["previous"].to(dtype)  # B,H,S
        move = sum(shifted(stay, by) for by in range(1, self.reach + 1))
        if self.agent is not None:
            moves = state.tensors["moves"].to(dtype)[..., None]  # B,H,1
            stay, move = (1 - moves) * stay, moves * move
        prior = (stay + move)[:, :, None]  # B,H,1,S
        # Second factor. A comparison with NaN is false, so that a diverged model stays NaN.
        unreachable = prior < torch.finfo(dtype).tiny
        seen = ~unreachable if mask is None else mask & ~unreachable
        weights = self.normaliser(energies + prior.masked_fill(unreachable, 1.0).log(), seen)
        if self.agent is None:
            return AttentionWeights(weights)
        # The agent looks at the new context; the step after this one will ask it.
        context = weighted_mean(weights, keys.tensors["values"])  # B,1,C
        odds = self.agent(torch.cat([context, query], -1))[:, 0]  # B,H
        # Neither 0 nor 1: something is always within reach.
        moves = torch.sigmoid(odds.to(dtype)).clamp(1e-6, 1 - 1e-6)
        return AttentionWeights(weights, {"moves": moves}, context=context)

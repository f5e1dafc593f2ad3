"""Attention by a mixture of Gaussians that moves along the source."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from bench.attention.base import (
    Attention,
    AttentionOptions,
    AttentionOutput,
    AttentionState,
    Keys,
    Memory,
    Sizes,
    zero_padding,
)
from bench.attention.registries import attentions


class GaussianMixtureOptions(AttentionOptions):
    components: int = Field(5, ge=1, description="K, Gaussians of the mixture; Graves 2013 has 10")
    version: Literal["v0", "v1", "v2"] = Field(
        "v0",
        description="v0 as published; Battenberg 2020: v1 with normalised mixture weights and "
        "densities, v2 with softplus in place of exp as well",
    )


@attentions.register("gaussian-mixture")
class GaussianMixture(Attention):
    """w_t = sum_u phi(t, u) c_u with the window of Graves 2013, equations 46 to 51.

    phi(t, u) = sum_k alpha_k exp(-beta_k (kappa_k - u)^2) at position u, counted from 1. From the
    query come alpha = exp(.), beta = exp(.) and the move kappa_t = kappa_{t-1} + exp(.) > 0. No
    query is compared with a key, so there is no score, and the weights are not normalised.

    Versions 1 and 2 are those of Battenberg 2020, table 1: alpha_k becomes a softmax divided by
    sqrt(2 pi sigma^2), with sigma^2 = exp(.) in version 1 and sigma = softplus(.) in version 2,
    where the move is a softplus, too. Their weights sum to 1 up to the error of sampling densities
    at whole positions, and to less at the ends of the source.

    The query is the previous state and the context enters the cell: the window of step t - 1, made
    of h_{t-1}, is an input of h_t in equation 52. The first move is the length ratio of the
    training data, where the paper does not say.
    """

    summary = "a mixture of Gaussians whose centres move along the source; no score"
    citation = "Graves 2013, Battenberg 2020"
    placement = "previous-state"
    classic_score = "none"
    normalises = False
    stepwise = True
    weights_kind = "unnormalised"
    Options = GaussianMixtureOptions

    def __init__(self, sizes: Sizes, score: str, options: GaussianMixtureOptions) -> None:
        super().__init__(sizes, score, options)
        self.components, self.version = options.components, options.version
        self.window = nn.Linear(sizes.query, 3 * options.components)
        with torch.no_grad():
            first = sizes.length_ratio
            move = math.log(math.expm1(first)) if self.version == "v2" else math.log(first)
            self.window.bias[-options.components :] = move

    def prepare(self, memory: Memory) -> Keys:
        states = memory.states if memory.values is None else memory.values
        places = memory.mask.cumsum(1)  # B,S among the real positions, from 1
        return Keys(memory, {"values": zero_padding(states, memory.mask), "places": places})

    def initial_state(self, keys: Keys) -> AttentionState:
        states = keys.memory.states
        dtype = torch.promote_types(states.dtype, torch.float32)
        return AttentionState(
            0, {"kappa": states.new_zeros(len(states), self.components, dtype=dtype)}
        )

    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, *, need_weights: bool = True
    ) -> AttentionOutput:
        kappa, values = state.tensors["kappa"], keys.tensors["values"]  # B,K and B,S,D
        # Height, width and move of every component (equations 48 to 50).
        raw = self.window(query).to(kappa.dtype).chunk(3, dim=-1)  # B,T,K each
        log_height, log_beta, move = self._mixture(*raw)
        # Centres (equation 51).
        centres = kappa[:, None] + move.cumsum(1)  # B,T,K
        # Window (equation 47).
        distance = centres[..., None] - keys.tensors["places"][:, None, None]  # B,T,K,S
        exponent = log_height[..., None] - log_beta.exp()[..., None] * distance.square()
        weights = exponent.exp().sum(2)  # B,T,S
        weights = weights.masked_fill(~keys.memory.mask[:, None], 0.0)
        # Context (equation 46).
        context = weights.to(values.dtype) @ values  # B,T,D
        after = AttentionState(state.position + query.shape[1], {"kappa": centres[:, -1]})
        return AttentionOutput(context, after, weights if need_weights else None)

    def _mixture(self, height: Tensor, width: Tensor, move: Tensor) -> tuple[Tensor, ...]:
        """Log height of the peaks, log beta = -log(2 sigma^2), and move, each B,T,K."""
        if self.version == "v0":
            return height, width, move.exp()
        if self.version == "v1":
            log_variance, move = width, move.exp()
        else:
            log_variance, move = 2 * F.softplus(width).log(), F.softplus(move)
        log_height = height.log_softmax(-1) - 0.5 * (math.log(2 * math.pi) + log_variance)
        return log_height, -(math.log(2) + log_variance), move

"""Adaptive attention: a sentinel beside the positions, for words that need no look."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.attention import Backbone
from bench.attention.aggregation import weighted_mean
from bench.attention.attention import AttentionWeights, ScoredAttention, WindowedOptions
from bench.attention.base import AttentionState, Keys, Sizes
from bench.attention.registries import attentions, scores


@attentions.register("sentinel")
class SentinelAttention(ScoredAttention):
    """The decoder's own knowledge stands beside the positions as one more (Lu 2017, section 2.2):

        s_t = sigmoid(W_x h_t) * tanh(W_m h_t)                the sentinel
        [a ; b] = softmax([score(h_t, v_1) .. score(h_t, v_S) ; score(h_t, s_t)])
        c_t = sum_s a_s v_s + b s_t

    Weights over positions are a sub-distribution: what they lack of 1 is b, the weight of the
    sentinel. In the paper the gate sees the word and the previous state, tanh the LSTM's cell, and
    the sentinel has a matrix of its own in the score; here all is made of the query, the state h_t
    which all of them went into, and the sentinel is scored and (with several heads) projected as
    positions are.
    """

    summary = "a sentinel of the decoder's state takes weight beside the positions"
    citation = "Lu 2017"
    placement = "current-state"
    classic_score = "concat"
    Options = WindowedOptions

    def __init__(self, sizes: Sizes, score: str, options: WindowedOptions) -> None:
        super().__init__(sizes, score, options, window=options.window())
        if self.weights_kind == "distribution":
            self.weights_kind = "sub-distribution"
        self.sentinel_gate = nn.Linear(sizes.query, sizes.memory)
        self.sentinel_content = nn.Linear(sizes.query, sizes.memory)

    @classmethod
    def refusal(cls, score: str, backbone: Backbone) -> str | None:
        if scores.get(score).positional:
            return f"{score} goes by places in the source, and the sentinel has none"
        return super().refusal(score, backbone)

    def weigh(
        self,
        energies: Tensor,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        mask: Tensor | None,
    ) -> AttentionWeights:
        # The sentinel s_t of every query, with its key and its value.
        sentinel = torch.sigmoid(self.sentinel_gate(query)) * torch.tanh(
            self.sentinel_content(query)
        )  # B,T,D
        own = self._project(sentinel, sentinel)  # B,H,T,K and B,H,T,V
        extra = self._own_energies(query, own["keys"])  # B,H,T,1
        # One softmax over positions and sentinel.
        window = self.window(query, keys, state, mask)
        seen = window.mask
        if seen is not None:
            seen = torch.cat((seen, seen.new_ones(*seen.shape[:-1], 1)), dim=-1)
        every = self.normaliser(torch.cat((energies, extra), dim=-1), seen)  # B,H,T,S+1
        weights, share = every[..., :-1], every[..., -1:]
        found = weighted_mean(weights, keys.tensors["values"])  # B,T,C
        shares = share.to(own["values"].dtype) * own["values"]  # B,H,T,V
        context = found + shares.transpose(1, 2).flatten(-2)
        return AttentionWeights(weights, context=context)

    def _own_energies(self, query: Tensor, own_keys: Tensor) -> Tensor:
        """Score every query against its own sentinel alone: B,H,T,1 of keys B,H,T,K."""
        B, T, _ = query.shape
        asked = self.project_query(query).reshape(B * T, 1, -1)
        single = own_keys.transpose(1, 2).flatten(0, 1)[:, :, None]  # B*T,H,1,K
        # Scores that read the weights of the steps before find none around the sentinel.
        nothing = single.new_zeros(*single.shape[:3])  # B*T,H,1
        remembered = dict.fromkeys(self.score.reads, nothing)
        if "kept" in remembered:
            every = torch.ones_like(nothing[:, 0], dtype=torch.bool)  # B*T,1
            remembered["kept"] = self.score.keep(None, nothing, every)
        energies = self.scaled(self.score(asked, single, remembered))  # B*T,H,1,1
        return energies.view(B, T, -1, 1).transpose(1, 2)

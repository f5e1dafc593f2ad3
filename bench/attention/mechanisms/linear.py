"""Linear attention; what it shares with `performer`."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.attention import Backbone
from bench.attention.aggregation import weighted_mean
from bench.attention.attention import ScoredAttention, ScoreOptions
from bench.attention.base import (
    AttentionOutput,
    AttentionState,
    Keys,
    Memory,
    Sizes,
    Slot,
)
from bench.attention.heads import mean_over_heads, merge_heads, per_head
from bench.attention.registries import attentions, scores

#: Positions whose products with each other are formed at once under causality.
CHUNK = 64


@dataclass(frozen=True)
class RunningKeys(Keys):
    """Keys whose earlier positions are held as sums only.

    Attributes:
        first: how many positions the sums hold; the tensors "keys" and "values" begin with it.
    """

    first: int = 0

    def select(self, index: Tensor) -> RunningKeys:
        chosen = super().select(index)
        return RunningKeys(chosen.memory, chosen.tensors, self.first)


class KernelAttention(ScoredAttention):
    """Attention whose similarity is an inner product of features phi, so that sums over positions
    need no pairs (Katharopoulos 2020, equations 4 to 12):

        c_t = phi(q_t) M_t / (phi(q_t) . z_t),  M_t = sum_s phi(k_s) v_s,  z_t = sum_s phi(k_s).

    Sums are over all real positions, or over those up to t in a decoder's own slot. There, stepwise
    decoding is the recurrence of equations 16 to 20: `extend` adds the positions so far to M and z
    and forgets them, so a step costs the same however long the target. Weights,
    phi(q_t) . phi(k_s) over their sum, are formed where they are asked for, at the price of pairs;
    where positions were summed up and forgotten there are none (None).
    """

    backbone = "transformer"
    slots: ClassVar[frozenset[Slot]] = frozenset({"cross", "encoder", "decoder"})
    heads_of_backbone = True
    normalises = False
    Options = ScoreOptions

    def __init__(self, sizes: Sizes, score: str, options: ScoreOptions) -> None:
        super().__init__(sizes, score, options)
        dot = self.score.as_dot(torch.zeros(1, 1, sizes.query))
        assert dot is not None
        #: K, size of the vectors that the score multiplies, and what it multiplies products by.
        self.vector_size, self.factor = dot[0].shape[-1], dot[1]

    @abstractmethod
    def query_features(self, vectors: Tensor) -> Tensor:
        """Features phi B,H,T,F, not negative, of queries B,H,T,K; those of a query may be times
        any number above 0, since that cancels out."""

    @abstractmethod
    def key_features(self, vectors: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Features phi B,H,N,F of keys B,H,N,K, divided by exp(scale), and the scale, B,H,1,1: what
        all keys share cancels out, too. None for a scale of 0.

        Args:
            real: B,1,N,1, True where a position is real; None if all are.
        """

    @classmethod
    def refusal(cls, score: str, backbone: Backbone) -> str | None:
        if score not in ("dot", "scaled-dot"):
            scores.get(score)
            return "it compares features of queries and keys by inner products"
        return None

    def prepare(self, memory: Memory) -> Keys:
        keys = super().prepare(memory)
        real = memory.mask[:, None, :, None]  # B,1,S,1
        features, scale = self.key_features(keys.tensors["keys"], real)
        tensors = {**keys.tensors, "keys": features * real}
        if scale is not None:
            tensors["scale"] = scale
        if not self.causal:
            tensors["sums"] = _sums(tensors["keys"], tensors["values"])
        return RunningKeys(memory, tensors)

    def extend(self, keys: Keys | None, states: Tensor) -> Keys:
        new = self._project(states, states)
        new["keys"], scale = self.key_features(new["keys"], None)
        if scale is not None:
            new["scale"] = scale
        if keys is None:
            mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
            return RunningKeys(Memory(states, mask, states[:, 0]), new)
        assert isinstance(keys, RunningKeys)
        old = keys.tensors
        sums = _sums(old["keys"], old["values"])  # B,H,F,V+1
        if "sums" in old:
            sums = sums + old["sums"]
        if scale is not None:  # one scale for all keys, the larger
            new["scale"] = torch.maximum(scale, old["scale"])
            sums = sums * (old["scale"] - new["scale"]).exp()
            new["keys"] = new["keys"] * (scale - new["scale"]).exp()
        first = keys.first + old["keys"].shape[2]
        return RunningKeys(keys.memory, {**new, "sums": sums}, first)

    def _attend(
        self,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        mask: Tensor | None,
        need_weights: bool,
        given: Tensor | None = None,
    ) -> AttentionOutput:
        dot = self.score.as_dot(self.project_query(query))
        assert dot is not None
        asked, tensors = self.query_features(dot[0]), keys.tensors  # B,H,T,F
        after = AttentionState(state.position + query.shape[1], state.tensors)
        forgotten = self.causal and "sums" in tensors
        if need_weights and not forgotten:
            pairs = asked @ tensors["keys"].transpose(-1, -2)  # B,H,T,S
            if mask is not None:
                pairs = pairs.masked_fill(~mask, 0.0)
            weights = pairs / _positive(pairs.sum(-1, keepdim=True))
            context = weighted_mean(weights, tensors["values"])  # B,T,C
            finished = self.finish(context, query, keys)
            return AttentionOutput(finished, after, mean_over_heads(weights), per_head(weights))
        if self.causal:
            assert isinstance(keys, RunningKeys)
            summed = _causal(asked, keys, state.position)  # B,H,T,V+1
        else:
            summed = asked @ tensors["sums"]
        context = merge_heads(summed[..., :-1] / _positive(summed[..., -1:]))
        return AttentionOutput(self.finish(context, query, keys), after)


def _with_ones(values: Tensor) -> Tensor:
    """Values B,H,S,V and a 1 behind each, so that one product gives M and z."""
    return F.pad(values, (0, 1), value=1.0)


def _sums(keys: Tensor, values: Tensor) -> Tensor:
    """M and z of features B,H,S,F and values B,H,S,V: B,H,F,V+1."""
    return keys.transpose(-1, -2) @ _with_ones(values)


def _positive(sums: Tensor) -> Tensor:
    """The sums, kept from 0 where all features vanish; NaN stays."""
    return sums.clamp_min(torch.finfo(sums.dtype).tiny)


def _causal(queries: Tensor, keys: RunningKeys, position: int) -> Tensor:
    """phi(q_t) [M_t, z_t] of T queries from `position` on: B,H,T,V+1. Chunk by chunk, so that pairs
    are formed within chunks only."""
    table, values = keys.tensors["keys"], _with_ones(keys.tensors["values"])
    T, start = queries.shape[2], position - keys.first
    assert start >= 0, "the keys of these queries are summed up already"
    # Positions before all queries.
    before = table[:, :, :start].transpose(-1, -2) @ values[:, :, :start]  # B,H,F,V+1
    if "sums" in keys.tensors:
        before = before + keys.tensors["sums"]
    # The positions of the queries, with zeros behind to whole chunks.
    size = min(CHUNK, T)
    whole = -(-T // size) * size
    q, k, v = (
        F.pad(one, (0, 0, 0, whole - one.shape[2])).unflatten(2, (-1, size))  # B,H,N,size,.
        for one in (queries, table[:, :, start : start + T], values[:, :, start : start + T])
    )
    inside = (q @ k.transpose(-1, -2)).tril() @ v
    sums = k.transpose(-1, -2) @ v  # B,H,N,F,V+1
    earlier = torch.cat((before[:, :, None], sums[:, :, :-1]), 2).cumsum(2)
    return (inside + q @ earlier).flatten(2, 3)[:, :, :T]


@attentions.register("linear")
class LinearAttention(KernelAttention):
    """phi(x) = elu(x) + 1 (Katharopoulos 2020, equation 7), of whatever the score multiplies."""

    summary = "features elu + 1 in place of the softmax: cost linear in the length"
    citation = "Katharopoulos 2020"
    classic_score = "dot"

    @classmethod
    def refusal(cls, score: str, backbone: Backbone) -> str | None:
        if score == "scaled-dot":
            return "a factor of all products cancels out of their shares: it is linear with dot"
        return super().refusal(score, backbone)

    def query_features(self, vectors: Tensor) -> Tensor:
        return F.elu(vectors) + 1

    def key_features(self, vectors: Tensor, real: Tensor | None) -> tuple[Tensor, None]:
        return F.elu(vectors) + 1, None

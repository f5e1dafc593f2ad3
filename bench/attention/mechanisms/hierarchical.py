"""Attention inside segments, then over segments."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from bench.attention.base import AttentionOptions, AttentionState, Keys, Sizes
from bench.attention.core import ScoredAttention, ScoredOptions, Weighed
from bench.attention.memory import Memory, zero_padding
from bench.attention.registries import attentions
from bench.attention.segments import segment_layout


class HierarchicalOptions(ScoredOptions):
    segment_size: int = Field(
        5, ge=1, description="positions a segment has where the memory names no segments"
    )


@attentions.register("hierarchical")
class HierarchicalAttention(ScoredAttention):
    """Two levels of attention with one query (Yang 2016, sections 2.2.1 to 2.2.4).

    Inside each segment positions are scored and normalised: their mean is the segment's vector.
    The vectors are scored by a second score with parameters of its own and normalised. The weight
    of a position is the product of the two; the context is the mean of the segments' vectors.
    Yang's queries are learned vectors; in a decoder they are its states.
    """

    summary = "attention inside segments, then over segments"
    source = "Yang 2016"
    placement = "after"
    classic_score = "concat"
    Options: ClassVar[type[AttentionOptions]] = HierarchicalOptions
    plain = False

    def __init__(self, sizes: Sizes, score: str, options: AttentionOptions) -> None:
        assert isinstance(options, HierarchicalOptions)
        super().__init__(sizes, score, options)
        self.segment_score = self._make_score(score, sizes)
        self.segment_size = options.segment_size

    def prepare(self, memory: Memory) -> Keys:
        keys = super().prepare(memory)
        layout = segment_layout(memory, self.segment_size)
        slots = layout.slots.flatten(1)  # B,G*L
        states = zero_padding(memory.states, memory.mask)
        # A score's keys are affine in the states and weights inside a segment sum to 1: so the
        # projected vector of a segment is the mean of projected states, which never change.
        projected = self.segment_score.project_keys(states)[:, 0]  # B,S,K
        tabled = projected.gather(1, slots[..., None].expand(-1, -1, projected.shape[-1]))
        return Keys(
            memory,
            {
                **keys.tensors,
                "segment keys": tabled.unflatten(1, layout.slots.shape[1:]),  # B,G,L,K
                "slots": slots,
                "open": layout.open,
                "real": layout.real,
                "place": layout.place,
            },
        )

    def initial_state(self, keys: Keys) -> AttentionState:
        state = super().initial_state(keys)
        if not self.segment_score.needs_previous:
            return state
        real = keys.tensors["real"]  # B,G
        first = real & (real.cumsum(1) == 1)
        values = keys.tensors["values"]
        return AttentionState(
            0, {**state.tensors, "previous segments": first[:, None].to(values.dtype)}
        )

    def weigh(
        self,
        energies: Tensor,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        mask: Tensor | None,
    ) -> Weighed:
        tensors = keys.tensors
        T = energies.shape[2]
        index = tensors["slots"][:, None].expand(-1, T, -1)  # B,T,G*L
        tabled = energies[:, 0].gather(-1, index).unflatten(-1, tensors["open"].shape[1:])
        inner = self.normaliser(tabled, tensors["open"][:, None])  # B,T,G,L
        segment_energies = self._score_segments(inner, query, keys, state)  # B,T,G
        outer = self.normaliser(segment_energies, tensors["real"][:, None])  # B,T,G
        joint = (inner * outer[..., None]).flatten(-2)  # B,T,G*L
        place = tensors["place"][:, None].expand(-1, T, -1)  # B,T,S
        padding = ~keys.memory.mask[:, None]
        weights = joint.gather(-1, place).masked_fill(padding, 0.0)
        spread = outer[..., None].expand_as(inner).flatten(-2).gather(-1, place)
        carried = {}
        if self.segment_score.needs_previous:
            carried["previous segments"] = outer[:, -1:]  # B,1,G
        return Weighed(weights[:, None], carried, {"segments": spread.masked_fill(padding, 0.0)})

    def _score_segments(
        self, inner: Tensor, query: Tensor, keys: Keys, state: AttentionState
    ) -> Tensor:
        """Energies of the segments B,T,G. Their vectors differ from query to query, so every
        query is scored as an example of its own."""
        B, T, G, _ = inner.shape
        table = keys.tensors["segment keys"]  # B,G,L,K
        vectors = torch.einsum("btgl,bglk->btgk", inner.to(table.dtype), table)
        energies = self.segment_score(
            query.reshape(B * T, 1, -1),
            vectors.reshape(B * T, 1, G, -1),
            state.tensors.get("previous segments"),
        )
        return energies.view(B, T, G)

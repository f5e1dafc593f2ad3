"""Attention inside segments, then over segments."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from bench.attention.attention import AttentionWeights, ScoredAttention, ScoredOptions
from bench.attention.base import AttentionState, Keys, Memory, Sizes, zero_padding
from bench.attention.registries import attentions
from bench.errors import UsageError


@dataclass(frozen=True)
class SegmentLayout:
    """A memory laid out as a table of G segments by L places: where each position lies, and back.

    Attributes:
        slots: B,G,L int64, position in each slot; unused slots hold 0.
        open: B,G,L bool, True where a slot is used. The first slot of an empty segment is open
            as well, so that every row can be normalised; the segment itself is not real.
        real: B,G bool, True where a segment holds a position.
        place: B,S int64, slot g * L + l of each position; 0 for padding.
    """

    slots: Tensor
    open: Tensor
    real: Tensor
    place: Tensor


def segment_layout(memory: Memory, width: int) -> SegmentLayout:
    """Lay out `memory.segments`, or segments of `width` positions where the memory has none."""
    mask = memory.mask
    rank = mask.cumsum(1) - 1  # B,S place among the real ones
    if memory.segments is None:
        segments = rank // width
    else:
        segments, rank = memory.segments, _sorted_rank(memory.segments, mask)
    segments = torch.where(mask, segments, 0)  # padding may hold anything
    G = int(segments.max()) + 1
    counts = mask.new_zeros(len(mask), G, dtype=torch.int64)
    counts = counts.scatter_add(1, segments, mask.long())
    L = int(counts.max())
    first = counts.cumsum(1) - counts  # B,G rank of each segment's first position
    place = segments * L + rank - first.gather(1, segments)
    place = torch.where(mask, place, G * L)  # padding goes to a slot that is cut off
    positions = torch.arange(mask.shape[1], device=mask.device).expand_as(place)
    slots = place.new_zeros(len(mask), G * L + 1).scatter_(1, place, positions)
    used = torch.arange(L, device=mask.device) < counts.clamp_min(1)[..., None]  # B,G,L
    return SegmentLayout(
        slots=slots[:, :-1].unflatten(1, (G, L)),
        open=used,
        real=counts > 0,
        place=torch.where(mask, place, 0),
    )


def _sorted_rank(segments: Tensor, mask: Tensor) -> Tensor:
    """Rank B,S of each real position after sorting by segment, then by position. (The region of a
    picture is several stretches of its raster, so segments need not be contiguous.)"""
    last = torch.iinfo(torch.int64).max
    order = torch.where(mask, segments, last).argsort(dim=1, stable=True)  # padding comes last
    ranks = torch.arange(mask.shape[1], device=mask.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, ranks)


class HierarchicalOptions(ScoredOptions):
    segment_size: int = Field(
        5, ge=1, description="positions a segment has where the memory names no segments"
    )
    segment_encoder: bool = Field(
        False,
        description="Yang 2016, section 2.2.3: a GRU reads the segments' vectors both ways; its "
        "states are scored and averaged in their place",
    )


@attentions.register("hierarchical")
class HierarchicalAttention(ScoredAttention):
    """Two levels of attention with one query (Yang 2016, sections 2.2.1 to 2.2.4).

    Inside each segment positions are scored and normalised: their mean is the segment's vector.
    The vectors are scored by a second score with parameters of its own and normalised. The weight
    of a position is the product of the two; the context is the mean of the segments' vectors.
    Yang's queries are learned vectors; in a decoder they are its states.

    Yang's sentences are encoded a second time, by a GRU over their vectors, before they are scored:
    `segment_encoder`. Since here the vectors differ from query to query, so do its states, and the
    GRU runs once for every query.

    Raises:
        UsageError: a segment encoder over states of an odd size, which has no two halves.
    """

    summary = "attention inside segments, then over segments"
    citation = "Yang 2016"
    placement = "current-state"
    classic_score = "concat"
    Options = HierarchicalOptions

    def __init__(self, sizes: Sizes, score: str, options: HierarchicalOptions) -> None:
        super().__init__(sizes, score, options)
        self.segment_score = self._make_score(score, sizes)
        self.segment_size = options.segment_size
        self.segment_encoder: nn.GRU | None = None
        if options.segment_encoder:
            half, odd = divmod(sizes.memory, 2)
            if odd:
                raise UsageError(
                    f"states of size {sizes.memory} are not divisible by two directions",
                    where="segment_encoder",
                    remedy="use an even hidden_dim",
                )
            self.segment_encoder = nn.GRU(sizes.memory, half, batch_first=True, bidirectional=True)

    def prepare(self, memory: Memory) -> Keys:
        keys = super().prepare(memory)
        layout = segment_layout(memory, self.segment_size)
        slots = layout.slots.flatten(1)  # B,G*L
        states = zero_padding(memory.states, memory.mask)
        # A score's keys are affine in the states and weights inside a segment sum to 1: so the
        # projected vector of a segment is the mean of projected states, which never change.
        # A segment encoder needs the states themselves.
        rows = (
            self.segment_score.project_keys(states)[:, 0]
            if self.segment_encoder is None
            else states
        )  # B,S,K
        tabled = rows.gather(1, slots[..., None].expand(-1, -1, rows.shape[-1]))
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
    ) -> AttentionWeights:
        tensors = keys.tensors
        T = energies.shape[2]
        # Inside segments: energies of positions in the table, normalised per segment.
        index = tensors["slots"][:, None].expand(-1, T, -1)  # B,T,G*L
        tabled = energies[:, 0].gather(-1, index).unflatten(-1, tensors["open"].shape[1:])
        inner = self.normaliser(tabled, tensors["open"][:, None])  # B,T,G,L
        # Over segments: their vectors are scored and normalised.
        segment_energies, encoded = self._score_segments(inner, query, keys, state)  # B,T,G
        outer = self.normaliser(segment_energies, tensors["real"][:, None])  # B,T,G
        context = (
            None if encoded is None else outer[:, :, None].to(encoded.dtype) @ encoded
        )  # B,T,1,D
        # The weight of a position is the product of both; back from the table to positions.
        joint = (inner * outer[..., None]).flatten(-2)  # B,T,G*L
        place = tensors["place"][:, None].expand(-1, T, -1)  # B,T,S
        padding = ~keys.memory.mask[:, None]
        weights = joint.gather(-1, place).masked_fill(padding, 0.0)  # B,T,S
        spread = outer[..., None].expand_as(inner).flatten(-2).gather(-1, place)  # B,T,S
        carried = {}
        if self.segment_score.needs_previous:
            carried["previous segments"] = outer[:, -1:]  # B,1,G
        return AttentionWeights(
            weights[:, None],
            carried,
            {"segments": spread.masked_fill(padding, 0.0)},
            None if context is None else context[:, :, 0],
        )

    def _score_segments(
        self, inner: Tensor, query: Tensor, keys: Keys, state: AttentionState
    ) -> tuple[Tensor, Tensor | None]:
        """Energies B,T,G of the segments, and B,T,G,D what the segment encoder made of them. Their
        vectors differ from query to query, so every query is scored as an example of its own."""
        B, T, G, _ = inner.shape
        table = keys.tensors["segment keys"]  # B,G,L,K
        vectors = torch.einsum("btgl,bglk->btgk", inner.to(table.dtype), table)
        encoded = None
        projected = vectors.reshape(B * T, 1, G, -1)
        if self.segment_encoder is not None:
            encoded = self._encode_segments(vectors.flatten(0, 1), keys.tensors["real"])  # B*T,G,D
            projected = self.segment_score.project_keys(encoded)  # B*T,1,G,K
            encoded = encoded.view(B, T, G, -1)
        energies = self.segment_score(
            query.reshape(B * T, 1, -1), projected, state.tensors.get("previous segments")
        )
        return energies.view(B, T, G), encoded

    def _encode_segments(self, vectors: Tensor, real: Tensor) -> Tensor:
        """States B*T,G,D of the segment encoder over the segments' vectors, 0 for empty ones."""
        assert self.segment_encoder is not None
        rows = real.repeat_interleave(len(vectors) // len(real), dim=0)  # B*T,G
        G = real.shape[1]
        lengths = (rows * torch.arange(1, G + 1, device=real.device)).amax(1)  # B*T, the last real
        packed = pack_padded_sequence(
            vectors * rows[..., None], lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(
            self.segment_encoder(packed)[0], batch_first=True, total_length=G
        )
        return states

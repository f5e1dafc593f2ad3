"""Attention inside segments, then over segments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from bench.attention import Backbone
from bench.attention.attention import (
    AttentionWeights,
    ScoredAttention,
    ScoredOptions,
    nothing_attended,
    remember,
)
from bench.attention.base import AttentionOptions, AttentionState, Keys, Memory, Sizes, zero_padding
from bench.attention.heads import mean_over_heads
from bench.attention.registries import attentions, scores
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
    normalises_apart = True
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

    @classmethod
    def refusal_of_options(
        cls, options: AttentionOptions, score: str, backbone: Backbone
    ) -> str | None:
        if getattr(options, "query_key_norm", "none") != "none":
            return "it averages projected keys, which query_key_norm would normalise one by one"
        return super().refusal_of_options(options, score, backbone)

    @classmethod
    def refusal(cls, score: str, backbone: Backbone) -> str | None:
        if scores.get(score).positional:
            return f"{score} goes by places in the source, and the vectors of segments have none"
        return super().refusal(score, backbone)

    def prepare(self, memory: Memory) -> Keys:
        keys = super().prepare(memory)
        layout = segment_layout(memory, self.segment_size)
        slots = layout.slots.flatten(1)  # B,G*L
        states = zero_padding(memory.states, memory.mask)
        # A score's keys are affine in the states and weights inside a segment sum to 1: so the
        # projected vector of a segment is the mean of projected states, which never change.
        # A segment encoder needs the states themselves, for every head.
        if self.segment_encoder is None:
            rows = self._segment_keys(states)  # B,H,S,K
        else:
            rows = states[:, None].expand(-1, self.heads, -1, -1)
        index = slots[:, None, :, None].expand(-1, self.heads, -1, rows.shape[-1])
        tabled = rows.gather(2, index)  # B,H,G*L,K
        return Keys(
            memory,
            {
                **keys.tensors,
                "segment keys": tabled.unflatten(2, layout.slots.shape[1:]),  # B,H,G,L,K
                "slots": slots,
                "open": layout.open,
                "real": layout.real,
                "place": layout.place,
            },
        )

    def initial_state(self, keys: Keys) -> AttentionState:
        tensors = super().initial_state(keys).tensors
        dtype = keys.tensors["values"].dtype
        score, real = self.segment_score, keys.tensors["real"]  # B,G
        first = nothing_attended(score, score.reads, real, self.heads, dtype)
        return AttentionState(0, {**tensors, **_of_segments(first)})

    def weigh(
        self,
        energies: Tensor,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        mask: Tensor | None,
    ) -> AttentionWeights:
        tensors = keys.tensors
        H, T = energies.shape[1:3]
        # Inside segments: energies of positions in the table, normalised per segment.
        index = tensors["slots"][:, None, None].expand(-1, H, T, -1)  # B,H,T,G*L
        tabled = energies.gather(-1, index).unflatten(-1, tensors["open"].shape[1:])
        inner = self.normaliser(tabled, tensors["open"][:, None, None])  # B,H,T,G,L
        # Over segments: their vectors are scored and normalised.
        reads = self.segment_score.reads
        before: dict[str, Tensor] = {name: state.tensors[f"{name} segments"] for name in reads}
        segment_energies, encoded = self._score_segments(inner, query, keys, before)  # B,H,T,G
        outer = self.normaliser(segment_energies, tensors["real"][:, None, None])  # B,H,T,G
        # The weight of a position is the product of both; back from the table to positions.
        joint = (inner * outer[..., None]).flatten(-2)  # B,H,T,G*L
        place = tensors["place"][:, None, None].expand(-1, H, T, -1)  # B,H,T,S
        padding = ~keys.memory.mask[:, None, None]
        weights = joint.gather(-1, place).masked_fill(padding, 0.0)  # B,H,T,S
        spread = outer[..., None].expand_as(inner).flatten(-2).gather(-1, place)  # B,H,T,S
        # What the next step has to know of the segments.
        carried = _of_segments(
            remember(self.segment_score, reads, before, outer[:, :, -1], tensors["real"])
        )
        context = None
        if encoded is not None:
            vectors = outer[..., None, :].to(encoded.dtype) @ encoded  # B,H,T,1,D
            context = self._encoded_context(vectors.squeeze(-2))
        parts = {"segments": mean_over_heads(spread.masked_fill(padding, 0.0))}
        return AttentionWeights(weights, carried, parts, context)

    def _encoded_context(self, vectors: Tensor) -> Tensor:
        """Context B,T,C of the encoded segments B,H,T,D that each head attends to."""
        if self.value_projection is None:
            return vectors[:, 0]
        values = self.project_value(vectors).unflatten(-1, (self.heads, -1))  # B,H,T,H,V
        own = torch.arange(self.heads, device=vectors.device)
        return values[:, own, :, own].permute(1, 2, 0, 3).flatten(-2)  # B,T,H*V

    def _segment_keys(self, vectors: Tensor) -> Tensor:
        """Keys N,H,G,K of vectors N,G,D of segments."""
        return self.segment_score.project_keys(self.project_key(vectors))

    def _score_segments(
        self, inner: Tensor, query: Tensor, keys: Keys, before: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor | None]:
        """Energies B,H,T,G of the segments, and B,H,T,G,D what the segment encoder made of them.
        Their vectors differ from query to query, so every query is scored as an example of its
        own.

        Args:
            before: what the score reads of the segments' weights.
        """
        B, H, T, G, _ = inner.shape
        table = keys.tensors["segment keys"]  # B,H,G,L,K
        vectors = torch.einsum("bhtgl,bhglk->bthgk", inner.to(table.dtype), table)
        encoded = None
        if self.segment_encoder is None:
            projected = vectors.flatten(0, 1)  # B*T,H,G,K
        else:
            states = self._encode_segments(vectors.flatten(0, 2), keys.tensors["real"])
            projected = self._segment_keys(states).view(B * T, H, H, G, -1)
            projected = projected.diagonal(dim1=1, dim2=2).movedim(-1, 1)  # B*T,H,G,K
            encoded = states.view(B, T, H, G, -1).transpose(1, 2)  # B,H,T,G,D
        energies = self.segment_score(
            self.project_query(query).reshape(B * T, 1, -1), projected, before
        )  # B*T,H,1,G
        return self.scaled(energies).view(B, T, H, G).transpose(1, 2), encoded

    def _encode_segments(self, vectors: Tensor, real: Tensor) -> Tensor:
        """States N,G,D of the segment encoder over the segments' vectors, 0 for empty ones; N is
        a multiple of the batch."""
        assert self.segment_encoder is not None
        rows = real.repeat_interleave(len(vectors) // len(real), dim=0)  # N,G
        G = real.shape[1]
        lengths = (rows * torch.arange(1, G + 1, device=real.device)).amax(1)  # N, the last real
        packed = pack_padded_sequence(
            vectors * rows[..., None], lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        states, _ = pad_packed_sequence(
            self.segment_encoder(packed)[0], batch_first=True, total_length=G
        )
        return states


def _of_segments(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors under names that tell them from those of positions."""
    return {f"{name} segments": tensor for name, tensor in tensors.items()}

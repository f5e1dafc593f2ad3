"""The layout of a memory by segments: positions in a table of G segments by L places."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from bench.attention.memory import Memory


@dataclass(frozen=True)
class SegmentLayout:
    """Where each position lies in the table of segments, and back.

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
    """The layout of `memory.segments`, or of segments of `width` positions where it has none."""
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
    """B,S: the place of each real position where they are sorted by segment and then by place. A
    region of a picture is several stretches of its raster."""
    last = torch.iinfo(torch.int64).max
    order = torch.where(mask, segments, last).argsort(dim=1, stable=True)  # padding comes last
    ranks = torch.arange(mask.shape[1], device=mask.device).expand_as(order)
    return torch.empty_like(order).scatter_(1, order, ranks)

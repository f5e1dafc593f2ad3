"""The small random batch that conformance checks try a mechanism on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.attention.base import Sizes
from bench.attention.memory import Memory, lengths_to_mask

#: Real positions of each example: the whole width, less, and one only.
LENGTHS = (7, 4, 1)
STEPS = 4


@dataclass(frozen=True)
class Batch:
    """Queries B,T,Q and the memory they attend to; all in float64."""

    query: Tensor
    memory: Memory


def random_batch(sizes: Sizes) -> Batch:
    """Examples of different lengths, with segments; drawn from torch's random state."""
    B, S = len(LENGTHS), max(LENGTHS)
    mask = lengths_to_mask(torch.tensor(LENGTHS), S)
    memory = Memory(
        states=torch.randn(B, S, sizes.memory, dtype=torch.float64),
        mask=mask,
        summary=torch.randn(B, sizes.memory, dtype=torch.float64),
        segments=(torch.arange(S) // 3).expand(B, S),
    )
    return Batch(torch.randn(B, STEPS, sizes.query, dtype=torch.float64), memory)


def with_padding(memory: Memory, content: float, segment: int) -> Memory:
    """The memory with other states and segments under its padding."""
    padding = ~memory.mask
    segments = memory.segments
    return replace(
        memory,
        states=memory.states.masked_fill(padding[..., None], content),
        segments=None if segments is None else segments.masked_fill(padding, segment),
    )


def alone(batch: Batch, example: int) -> Batch:
    """One example without the others and without its padding."""
    one = batch.memory.select(torch.tensor([example]))
    length = int(one.lengths[0])
    memory = replace(
        one,
        states=one.states[:, :length],
        mask=one.mask[:, :length],
        segments=None if one.segments is None else one.segments[:, :length],
    )
    return Batch(batch.query[example : example + 1], memory)

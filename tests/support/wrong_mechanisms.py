"""Mechanisms that conformance checks catch, for the tests of what they catch and what they say."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.attention.attention import ScoredAttention
from bench.attention.base import AttentionOutput, Keys, Memory


class Tidying(ScoredAttention):
    """Empties the padding of the memory that it is given, in place."""

    def prepare(self, memory: Memory) -> Keys:
        memory.states.masked_fill_(~memory.mask[..., None], 0.0)
        return super().prepare(memory)


class Fading(ScoredAttention):
    """Counts what it has looked at in its keys instead of in a state."""

    def weigh(self, energies: Tensor, query: Tensor, keys: Keys, *more: Any) -> Any:
        weighed = super().weigh(energies, query, keys, *more)
        with torch.no_grad():
            keys.tensors["values"].mul_(0.5)
        return weighed


class Detached(ScoredAttention):
    """Lets no gradient pass to its queries."""

    def forward(self, query: Tensor, *args: Any, **kwargs: Any) -> AttentionOutput:
        return super().forward(query.detach(), *args, **kwargs)

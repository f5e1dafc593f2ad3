"""The sub-layers of Transformers: pre-norm residual blocks around attention and feed-forward."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import Attended, Attention, AttentionState, Keys, Sizes
from bench.attention.memory import Memory
from bench.errors import UsageError
from bench.models.base import ModelSizes
from bench.models.dropout import dropout
from bench.models.layers import linear, resize
from bench.models.positions import LearnedPositions, sinusoids

#: Builds the attention of one layer.
AttentionFactory = Callable[[Sizes], Attention]


class Positions(nn.Module):
    """Adds to every state where it stands: sinusoids, or learned vectors if the sizes say so."""

    def __init__(self, sizes: ModelSizes) -> None:
        super().__init__()
        learned = sizes.positions == "learned"
        self.learned = LearnedPositions(sizes.max_positions, sizes.hidden) if learned else None

    def forward(self, states: Tensor, start: int = 0) -> Tensor:
        """B,N,H to the same; the first state stands at position `start`."""
        count = states.shape[1]
        if self.learned is not None:
            return states + self.learned(start, count)
        return states + sinusoids(start, count, states)


class AttentionBlock(nn.Module):
    """x + dropout(attention(norm(x))) (Vaswani 2017, with the norm first as in Xiong 2020).

    Args:
        memory_size: size of the states attended to; None for self-attention, whose keys are
            made from the normalised input.
    """

    def __init__(
        self, factory: AttentionFactory, sizes: ModelSizes, memory_size: int | None = None
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(sizes.hidden)
        self.attention = factory(
            Sizes(query=sizes.hidden, memory=memory_size or sizes.hidden, heads=sizes.heads)
        )
        self.project = resize(self.attention.context_size, sizes.hidden)
        self.dropout = sizes.dropout

    def over_self(self, states: Tensor, mask: Tensor, *, causal: bool = False) -> Tensor:
        """Self-attention of B,N,H states with a B,N mask."""
        normal = self.norm(states)
        keys = self.attention.prepare(as_memory(normal, mask))
        start = self.attention.initial_state(keys)
        further = {"causal": True} if causal else {}  # only `self` knows the argument
        attended = self.attention(normal, keys, start, need_weights=False, **further)
        return self._added(states, attended)

    def over_past(self, state: Tensor, mask: Tensor, past: Keys | None) -> tuple[Tensor, Keys]:
        """Self-attention of the newest position B,1,H, after the positions in `past`."""
        normal = self.norm(state)
        if past is None:
            keys = self.attention.prepare(as_memory(normal, mask))
        else:
            keys = self.attention.extend(past, normal)  # type: ignore[operator]
        start = self.attention.initial_state(keys)
        return self._added(state, self.attention(normal, keys, start, need_weights=False)), keys

    def over_memory(
        self, states: Tensor, keys: Keys, remembered: AttentionState, *, need_weights: bool
    ) -> tuple[Tensor, Attended]:
        """Cross-attention of B,T,H states; also what the mechanism returned."""
        attended = self.attention(self.norm(states), keys, remembered, need_weights=need_weights)
        return self._added(states, attended), attended

    def _added(self, states: Tensor, attended: Attended) -> Tensor:
        return states + dropout(self.project(attended.context), self.dropout, self.training)


class FeedForward(nn.Module):
    """x + dropout(W2 dropout(relu(W1 norm(x)))) (Vaswani 2017, section 3.3)."""

    def __init__(self, sizes: ModelSizes) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(sizes.hidden)
        self.inner = linear(sizes.hidden, sizes.feed_forward)
        self.outer = linear(sizes.feed_forward, sizes.hidden)
        self.dropout = sizes.dropout

    def forward(self, states: Tensor) -> Tensor:
        inner = dropout(F.relu(self.inner(self.norm(states))), self.dropout, self.training)
        return states + dropout(self.outer(inner), self.dropout, self.training)


def as_memory(states: Tensor, mask: Tensor) -> Memory:
    """States that attend to themselves, as a memory. Self-attention has no use for a summary;
    the first state stands in its place."""
    return Memory(states, mask, summary=states[:, 0])


def check_heads(sizes: ModelSizes) -> None:
    """Raises UsageError where the heads do not share the hidden size evenly."""
    if sizes.hidden % sizes.heads:
        raise UsageError(
            f"hidden={sizes.hidden} cannot be shared by heads={sizes.heads}",
            remedy="choose a multiple",
        )

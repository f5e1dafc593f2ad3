"""Transformer encoder."""

from __future__ import annotations

from torch import Tensor, nn

from bench.attention.memory import Memory, zero_padding
from bench.models.base import Encoder, ModelSizes
from bench.models.layers import masked_mean, resize
from bench.models.transformer_layers import (
    AttentionBlock,
    AttentionFactory,
    FeedForward,
    Positions,
    check_heads,
)


class TransformerEncoder(Encoder):
    """Self-attention layers, pre-norm, over features with positions (Vaswani 2017).

    The paper scales its embeddings by sqrt(d) so that positions do not outweigh them. Features
    may be frames or annotation vectors of any scale here, so a layer norm sees to that instead.
    The summary is the mean of the real states.

    Raises:
        UsageError: heads that do not divide the hidden size.
    """

    def __init__(self, input_size: int, sizes: ModelSizes, factory: AttentionFactory) -> None:
        super().__init__()
        check_heads(sizes)
        self.output_size = sizes.hidden
        self.enter = resize(input_size, sizes.hidden)
        self.enter_norm = nn.LayerNorm(sizes.hidden)
        self.positions = Positions(sizes)
        self.attend = nn.ModuleList(
            AttentionBlock(factory, sizes) for _ in range(sizes.encoder_layers)
        )
        self.feed = nn.ModuleList(FeedForward(sizes) for _ in range(sizes.encoder_layers))
        self.norm = nn.LayerNorm(sizes.hidden)

    def forward(self, features: Tensor, mask: Tensor, segments: Tensor | None = None) -> Memory:
        states = self.positions(self.enter_norm(self.enter(features)))  # B,S,H
        for attend, feed in zip(self.attend, self.feed, strict=True):
            assert isinstance(attend, AttentionBlock)
            states = feed(attend.over_self(states, mask))
        states = zero_padding(self.norm(states), mask)
        return Memory(states, mask, masked_mean(states, mask), segments=segments)

"""Transformer decoder."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.attention.base import Attended, Attention, AttentionState, Keys
from bench.attention.memory import Memory
from bench.models.base import Decoded, Decoder, DecoderState, ModelSizes
from bench.models.dropout import dropout
from bench.models.layers import layer_weights, resize, token_embedding
from bench.models.transformer_layers import (
    AttentionBlock,
    AttentionFactory,
    FeedForward,
    Positions,
    check_heads,
)


@dataclass(frozen=True)
class TransformerProgress:
    """What the decoder carries from token to token, a tuple entry per layer.

    Attributes:
        position: number of tokens read.
        past: projected positions read so far; None before the first.
        attention: what each cross-attention remembers.
    """

    position: int
    past: tuple[Keys | None, ...]
    attention: tuple[AttentionState, ...]


TransformerState = DecoderState[tuple[Keys, ...], TransformerProgress]


class TransformerDecoder(Decoder):
    """Causal self-attention, cross-attention and feed-forward, pre-norm (Vaswani 2017).

    Weights are means over heads and layers; parts are named "layer i head j". `contexts` are
    those of the last layer, `hidden` its normalised states.

    Raises:
        UsageError: heads that do not divide the hidden size.
    """

    def __init__(
        self, vocabulary_size: int, memory_size: int, sizes: ModelSizes, factory: AttentionFactory
    ) -> None:
        super().__init__()
        check_heads(sizes)
        layers = range(sizes.decoder_layers)
        self.output_size = sizes.embedding
        self.dropout = sizes.dropout
        self.embedding = token_embedding(vocabulary_size, sizes.embedding)
        self.enter = resize(sizes.embedding, sizes.hidden)
        self.positions = Positions(sizes)
        self.look_back = nn.ModuleList(AttentionBlock(factory, sizes) for _ in layers)
        self.attend = nn.ModuleList(AttentionBlock(factory, sizes, memory_size) for _ in layers)
        self.feed = nn.ModuleList(FeedForward(sizes) for _ in layers)
        self.norm = nn.LayerNorm(sizes.hidden)
        self.leave = resize(sizes.hidden, sizes.embedding)
        self.state_size = sizes.hidden
        self.context_size = self._mechanisms()[-1].context_size

    def start(self, memory: Memory) -> TransformerState:
        keys = tuple(attention.prepare(memory) for attention in self._mechanisms())
        remembered = tuple(
            attention.initial_state(one)
            for attention, one in zip(self._mechanisms(), keys, strict=True)
        )
        return DecoderState(
            keys, TransformerProgress(0, tuple(None for _ in self.attend), remembered)
        )

    def forward(self, tokens: Tensor, memory: Memory, *, need_weights: bool = False) -> Decoded:
        start = self.start(memory)
        states = self._embed(tokens, 0)  # B,T,H
        # Padding stands at the end, where no real position looks.
        mask = torch.ones_like(tokens, dtype=torch.bool)
        seen: dict[int, Attended] = {}
        for layer, (look_back, attend, feed) in enumerate(self._layers()):
            states = look_back.over_self(states, mask, causal=True)
            states, seen[layer + 1] = attend.over_memory(
                states,
                start.source[layer],
                start.progress.attention[layer],
                need_weights=need_weights,
            )
            states = feed(states)
        return self._decoded(states, seen)

    def step(
        self, tokens: Tensor, state: TransformerState, *, need_weights: bool = True
    ) -> tuple[Decoded, TransformerState]:
        progress = state.progress
        states = self._embed(tokens[:, None], progress.position)  # B,1,H
        mask = torch.ones_like(tokens, dtype=torch.bool)[:, None]
        past: list[Keys] = []
        seen: dict[int, Attended] = {}
        for layer, (look_back, attend, feed) in enumerate(self._layers()):
            states, keys = look_back.over_past(states, mask, progress.past[layer])
            past.append(keys)
            states, seen[layer + 1] = attend.over_memory(
                states, state.source[layer], progress.attention[layer], need_weights=need_weights
            )
            states = feed(states)
        remembered = tuple(attended.state for attended in seen.values())
        after = TransformerProgress(progress.position + 1, tuple(past), remembered)
        return self._decoded(states, seen), DecoderState(state.source, after)

    def _embed(self, tokens: Tensor, position: int) -> Tensor:
        scaled = self.embedding(tokens) * self.output_size**0.5  # Vaswani 2017, section 3.4
        states = self.positions(self.enter(scaled), position)  # B,T,H
        return dropout(states, self.dropout, self.training)

    def _decoded(self, states: Tensor, seen: dict[int, Attended]) -> Decoded:
        hidden = self.norm(states)
        features = dropout(self.leave(hidden), self.dropout, self.training)
        weights, parts = layer_weights(seen)
        contexts = seen[len(seen)].context
        return Decoded(features, weights=weights, parts=parts, contexts=contexts, hidden=hidden)

    def _layers(self) -> zip[tuple[AttentionBlock, AttentionBlock, FeedForward]]:
        return zip(self.look_back, self.attend, self.feed, strict=True)  # type: ignore[arg-type]

    def _mechanisms(self) -> list[Attention]:
        return [block.attention for block in self.attend]  # type: ignore[misc]

"""Transformer encoder and decoder (Vaswani 2017), of pre-norm residual blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import (
    Attention,
    AttentionOutput,
    AttentionState,
    Keys,
    Memory,
    Sizes,
    Slot,
    zero_padding,
)
from bench.attention.positions import sinusoids
from bench.errors import UsageError
from bench.models.base import Decoded, Decoder, DecoderState, Encoder, ModelConfig
from bench.models.layers import (
    attend_across,
    dropout,
    joint_sample,
    layer_weights,
    linear,
    masked_mean,
    resize,
    token_embedding,
)


class LearnedPositions(nn.Module):
    """A learned vector for every position (Gehring 2017, section 3.1)."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(count, size)
        nn.init.normal_(self.table.weight, std=size**-0.5)

    def forward(self, start: int, length: int) -> Tensor:
        """Return the vectors length,E of the positions start .. start+length-1.

        Raises:
            UsageError: a position beyond the last learned one.
        """
        count = self.table.num_embeddings
        if start + length > count:
            raise UsageError(
                f"a sequence of {start + length} units has only {count} learned positions",
                remedy="raise max_positions or shorten the sequences",
            )
        return self.table.weight[start : start + length]


#: Builds the attention of one layer.
AttentionFactory = Callable[[Sizes], Attention]


class Positions(nn.Module):
    """Positional encoding added to states: sinusoids, learned vectors, or none."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.kind = config.positional_encoding
        self.learned: LearnedPositions | None = None
        if self.kind == "learned":
            self.learned = LearnedPositions(config.max_positions, config.hidden_dim)

    def forward(self, states: Tensor, start: int = 0) -> Tensor:
        """Add positions to B,N,H states, the first of which stands at position `start`."""
        count = states.shape[1]
        if self.kind == "none":
            return states
        if self.learned is not None:
            return states + self.learned(start, count)
        return states + sinusoids(start, count, states)


class AttentionBlock(nn.Module):
    """x + dropout(attention(norm(x))) (Vaswani 2017, with the norm first as in Xiong 2020).

    Args:
        slot: where it stands. In the slots "encoder" and "decoder" keys are made from the
            normalised input.
        memory_size: size of the states attended to in the slot "cross".
    """

    def __init__(
        self,
        factory: AttentionFactory,
        config: ModelConfig,
        slot: Slot,
        memory_size: int | None = None,
    ) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.hidden_dim)
        hidden = config.hidden_dim
        sizes = Sizes(hidden, memory_size or hidden, heads=config.num_heads, slot=slot)
        self.attention = factory(sizes)
        if slot == "cross" and config.projection_init == "equal":
            self.attention.start_equal()
        self.project = resize(self.attention.context_size, config.hidden_dim)
        self.dropout = config.dropout

    def over_self(
        self, states: Tensor, mask: Tensor, *, position: int = 0, past: Keys | None = None
    ) -> tuple[Tensor, Keys]:
        """Self-attention of B,N,H states; also returns the keys.

        Args:
            mask: B,N.
            position: number of the first state.
            past: keys of the positions before it; None if there are none.
        """
        normal = self.norm(states)
        if past is None:
            # Self-attention reads no summary; the first state stands in its place.
            keys = self.attention.prepare(Memory(normal, mask, summary=normal[:, 0]))
        else:
            keys = self.attention.extend(past, normal)
        start = replace(self.attention.initial_state(keys), position=position)
        attended = self.attention(normal, keys, start, need_weights=False)
        return self._added(states, attended), keys

    def over_memory(
        self,
        states: Tensor,
        keys: Keys,
        remembered: AttentionState,
        *,
        need_weights: bool,
        query_mask: Tensor,
    ) -> tuple[Tensor, AttentionOutput]:
        """Cross-attention of B,T,H states, real where B,T `query_mask` is; also returns the output
        of the mechanism."""
        attended = attend_across(
            self.attention,
            self.norm(states),
            keys,
            remembered,
            need_weights=need_weights,
            query_mask=query_mask,
        )
        return self._added(states, attended), attended

    def _added(self, states: Tensor, attended: AttentionOutput) -> Tensor:
        return states + dropout(self.project(attended.context), self.dropout, self.training)


class FeedForward(nn.Module):
    """x + dropout(W2 dropout(relu(W1 norm(x)))) (Vaswani 2017, section 3.3)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.hidden_dim)
        self.inner = linear(config.hidden_dim, config.ffn_dim)
        self.outer = linear(config.ffn_dim, config.hidden_dim)
        self.dropout = config.dropout

    def forward(self, states: Tensor) -> Tensor:
        inner = dropout(F.relu(self.inner(self.norm(states))), self.dropout, self.training)
        return states + dropout(self.outer(inner), self.dropout, self.training)


def check_heads(config: ModelConfig) -> None:
    """Raise UsageError unless the number of heads divides the hidden size."""
    if config.hidden_dim % config.num_heads:
        raise UsageError(
            f"hidden_dim={config.hidden_dim} is not divisible by num_heads={config.num_heads}",
            remedy="choose a multiple",
        )


class TransformerEncoder(Encoder):
    """Self-attention layers, pre-norm, over features with positions (Vaswani 2017).

    The paper scales its embeddings by sqrt(d) so that positions do not outweigh them. Features
    may be frames or annotation vectors of any scale here, so a layer norm sees to that instead.
    The summary is the mean of the real states.

    Raises:
        UsageError: heads that do not divide the hidden size.
    """

    def __init__(self, input_size: int, config: ModelConfig, factory: AttentionFactory) -> None:
        super().__init__()
        check_heads(config)
        self.output_size = config.hidden_dim
        self.enter = resize(input_size, config.hidden_dim)
        self.enter_norm = nn.LayerNorm(config.hidden_dim)
        self.positions = Positions(config)
        self.attend = nn.ModuleList(
            AttentionBlock(factory, config, "encoder") for _ in range(config.encoder_layers)
        )
        self.feed = nn.ModuleList(FeedForward(config) for _ in range(config.encoder_layers))
        self.norm = nn.LayerNorm(config.hidden_dim)

    def forward(self, features: Tensor, mask: Tensor, segments: Tensor | None = None) -> Memory:
        states = self.positions(self.enter_norm(self.enter(features)))  # B,S,H
        for attend, feed in zip(self.attend, self.feed, strict=True):
            assert isinstance(attend, AttentionBlock)
            states = feed(attend.over_self(states, mask)[0])  # B,S,H
        states = zero_padding(self.norm(states), mask)
        return Memory(states, mask, masked_mean(states, mask), segments=segments)


class SelfAttentiveEncoder(Encoder):
    """Layers of self-attention and feed-forward, pre-norm, over the states of another encoder.

    Raises:
        UsageError: heads that do not divide the size of those states.
    """

    def __init__(self, inner: Encoder, config: ModelConfig, factory: AttentionFactory) -> None:
        super().__init__()
        config = replace(config, hidden_dim=inner.output_size)
        check_heads(config)
        self.inner = inner
        self.output_size = inner.output_size
        layers = range(config.encoder_self_attention)
        self.attend = nn.ModuleList(AttentionBlock(factory, config, "encoder") for _ in layers)
        self.feed = nn.ModuleList(FeedForward(config) for _ in layers)
        self.norm = nn.LayerNorm(inner.output_size)

    def forward(self, features: Tensor, mask: Tensor, segments: Tensor | None = None) -> Memory:
        memory = self.inner(features, mask, segments)
        states = memory.states  # B,S,D
        for attend, feed in zip(self.attend, self.feed, strict=True):
            assert isinstance(attend, AttentionBlock)
            states = feed(attend.over_self(states, mask)[0])  # B,S,D
        states = zero_padding(self.norm(states), mask)
        values = memory.values
        if values is not None:  # what the inner encoder adds to its states
            values = values - memory.states + states
        return replace(memory, states=states, values=values)


@dataclass(frozen=True)
class TransformerProgress:
    """The part of the decoder's state that changes from token to token; tuples have an entry per
    layer.

    Attributes:
        position: number of tokens read.
        past: keys and values of the positions read so far; None before the first.
        attention: state of each cross-attention.
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
        self, vocabulary_size: int, memory_size: int, config: ModelConfig, factory: AttentionFactory
    ) -> None:
        super().__init__()
        check_heads(config)
        layers = range(config.decoder_layers)
        self.output_size = config.embedding_dim
        self.dropout = config.dropout
        self.embedding = token_embedding(vocabulary_size, config.embedding_dim)
        self.enter = resize(config.embedding_dim, config.hidden_dim)
        self.positions = Positions(config)
        self.look_back = nn.ModuleList(AttentionBlock(factory, config, "decoder") for _ in layers)
        self.attend = nn.ModuleList(
            AttentionBlock(factory, config, "cross", memory_size) for _ in layers
        )
        self.feed = nn.ModuleList(FeedForward(config) for _ in layers)
        self.norm = nn.LayerNorm(config.hidden_dim)
        self.leave = resize(config.hidden_dim, config.embedding_dim)
        self.state_size = config.hidden_dim
        self.context_size = self._mechanisms()[-1].context_size

    def start(self, memory: Memory) -> TransformerState:
        keys = tuple(attention.prepare(memory) for attention in self._mechanisms())
        remembered = tuple(
            attention.initial_state(one)
            for attention, one in zip(self._mechanisms(), keys, strict=True)
        )
        return DecoderState(keys, TransformerProgress(0, (None,) * len(keys), remembered))

    def _read(
        self, tokens: Tensor, state: TransformerState, *, need_weights: bool
    ) -> tuple[Decoded, TransformerState]:
        progress = state.progress
        scaled = self.embedding(tokens) * self.output_size**0.5  # Vaswani 2017, section 3.4
        states = self.positions(self.enter(scaled), progress.position)  # B,T,H
        states = dropout(states, self.dropout, self.training)
        # Padding stands at the end, where no real position looks.
        mask, real = torch.ones_like(tokens, dtype=torch.bool), tokens != 0
        past: list[Keys] = []
        seen: dict[int, AttentionOutput] = {}
        blocks = zip(self.look_back, self.attend, self.feed, strict=True)
        for layer, (look_back, attend, feed) in enumerate(blocks):
            assert isinstance(look_back, AttentionBlock) and isinstance(attend, AttentionBlock)
            states, keys = look_back.over_self(
                states, mask, position=progress.position, past=progress.past[layer]
            )
            past.append(keys)
            states, seen[layer + 1] = attend.over_memory(
                states,
                state.source[layer],
                progress.attention[layer],
                need_weights=need_weights,
                query_mask=real,
            )
            states = feed(states)
        remembered = tuple(attended.state for attended in seen.values())
        after = TransformerProgress(progress.position + tokens.shape[1], tuple(past), remembered)
        hidden = self.norm(states)
        features = dropout(self.leave(hidden), self.dropout, self.training)
        weights, parts = layer_weights(seen)
        last = seen[len(seen)]
        decoded = Decoded(
            features, weights, parts, joint_sample(seen), last.context, hidden, last.weights
        )
        return decoded, DecoderState(state.source, after)

    def _mechanisms(self) -> list[Attention]:
        return [block.attention for block in self.attend]  # type: ignore[misc]

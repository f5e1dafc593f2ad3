"""Transformer encoder."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import (
    Attended,
    Attention,
    AttentionState,
    Keys,
    Memory,
    Sizes,
    zero_padding,
)
from bench.errors import UsageError
from bench.models.base import Decoded, Decoder, DecoderState, Encoder, ModelSizes
from bench.models.layers import dropout, layer_weights, linear, masked_mean, resize, token_embedding

# Where a token stands, for models that do not read in order.


def sinusoids(start: int, length: int, like: Tensor) -> Tensor:
    """Sines and cosines of the positions start .. start+length-1 (Vaswani 2017, section 3.5).

    The first half of the dimensions are the sines, the second the cosines, which is the paper's
    encoding but for the order of its dimensions.

    Args:
        like: ...,D gives size, type and device.

    Returns:
        length,D.
    """
    size = like.shape[-1]
    half = (size + 1) // 2
    positions = torch.arange(start, start + length, device=like.device, dtype=torch.float32)
    exponents = torch.arange(half, device=like.device, dtype=torch.float32) / max(half - 1, 1)
    angles = positions[:, None] * torch.exp(exponents * -math.log(10_000.0))  # length,D/2
    return torch.cat((angles.sin(), angles.cos()), dim=1)[:, :size].to(like.dtype)


class LearnedPositions(nn.Module):
    """A learned vector for every position (Gehring 2017, section 3.1)."""

    def __init__(self, count: int, size: int) -> None:
        super().__init__()
        self.table = nn.Embedding(count, size)
        nn.init.normal_(self.table.weight, std=size**-0.5)

    def forward(self, start: int, length: int) -> Tensor:
        """length,E for the positions start .. start+length-1.

        Raises:
            UsageError: a position that was never made.
        """
        count = self.table.num_embeddings
        if start + length > count:
            raise UsageError(
                f"a sequence of {start + length} units has only {count} learned positions",
                remedy="raise max_positions or shorten the sequences",
            )
        return self.table.weight[start : start + length]


# The sub-layers of Transformers: pre-norm residual blocks around attention and feed-forward.

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


# Transformer decoder.


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

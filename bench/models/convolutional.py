"""Convolutional encoder and decoder (Gehring 2017).

Initialisation follows section 3.5: the variance of activations is kept from layer to layer, by
weights N(0, p/n) of layers whose input passes dropout, kept with probability p, and n inputs a
neuron, four times that before a gated linear unit, which quarters it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    zero_padding,
)
from bench.errors import UsageError
from bench.models.base import Decoded, Decoder, DecoderState, Encoder, ModelConfig
from bench.models.layers import (
    attend_across,
    dropout,
    joint_sample,
    layer_weights,
    masked_mean,
    resize,
    token_embedding,
)
from bench.models.transformer import AttentionFactory, LearnedPositions

#: Scale of the sum of a residual block's input and output, to halve the variance (section 3.4).
HALVE = math.sqrt(0.5)


class GatedConvolution(nn.Module):
    """Convolution to twice the size, then a gated linear unit (Dauphin 2017). It does not pad, so
    B,N,H becomes B,N-kernel+1,H."""

    def __init__(self, hidden: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.convolution = nn.Conv1d(hidden, 2 * hidden, kernel)
        deviation = math.sqrt(4 * (1 - dropout) / (kernel * hidden))
        nn.init.normal_(self.convolution.weight, std=deviation)
        nn.init.zeros_(self.convolution.bias)  # type: ignore[arg-type]

    def forward(self, states: Tensor) -> Tensor:
        dropped = dropout(states, self.dropout, self.training)
        return F.glu(self.convolution(dropped.transpose(1, 2)), dim=1).transpose(1, 2)


def projection(inputs: int, outputs: int, *, dropout: float = 0.0) -> nn.Linear:
    """A linear layer initialised as in section 3.5; `dropout` is the probability on its input."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=math.sqrt((1 - dropout) / inputs))
    nn.init.zeros_(layer.bias)
    return layer


class ConvolutionalEncoder(Encoder):
    """Gated convolutions with residual connections over features e with learned positions
    (Gehring 2017, section 3.2).

    The memory's states z are what is scored, its values z + e what is averaged (equation 2). Both
    have the size of embeddings, as have the decoder's queries. Padding is zeroed before every
    convolution. The summary is the mean of the real values.

    Args:
        attending: number of decoder layers that attend; the gradient that comes back through z
            is divided by it (section 3.4).
    """

    def __init__(self, input_size: int, config: ModelConfig, attending: int = 1) -> None:
        super().__init__()
        self.output_size = config.embedding_dim
        self.kernel_size, self.attending = config.kernel_size, attending
        self.enter = resize(input_size, config.embedding_dim)
        self.positions = LearnedPositions(config.max_positions, config.embedding_dim)
        self.widen = projection(config.embedding_dim, config.hidden_dim, dropout=config.dropout)
        self.layers = nn.ModuleList(
            GatedConvolution(config.hidden_dim, config.kernel_size, config.dropout)
            for _ in range(config.encoder_layers)
        )
        self.narrow = projection(config.hidden_dim, config.embedding_dim)

    def forward(self, features: Tensor, mask: Tensor, segments: Tensor | None = None) -> Memory:
        embedded = self.enter(features)  # B,S,E
        embedded = embedded + self.positions(0, embedded.shape[1])
        embedded = zero_padding(embedded, mask)
        # Residual blocks, padded on both sides to keep S.
        states = self.widen(embedded)  # B,S,H
        before = (self.kernel_size - 1) // 2
        around = (0, 0, before, self.kernel_size - 1 - before)
        for layer in self.layers:
            states = zero_padding(states, mask)
            states = (layer(F.pad(states, around)) + states) * HALVE
        # z is scored, z + e is averaged.
        states = zero_padding(self.narrow(states), mask)  # B,S,E
        states = _scale_gradient(states, 1 / self.attending)
        values = states + embedded
        return Memory(states, mask, masked_mean(values, mask), values=values, segments=segments)


def _scale_gradient(tensor: Tensor, factor: float) -> Tensor:
    """Return the same values, with their gradient multiplied by `factor`."""
    if factor == 1.0 or not tensor.requires_grad:
        return tensor
    scaled = tensor * factor
    return scaled + (tensor - scaled).detach()


@dataclass(frozen=True)
class ConvolutionalProgress:
    """The part of the decoder's state that changes from token to token.

    Attributes:
        position: number of tokens read.
        windows: the last kernel - 1 inputs of every convolution, B,kernel-1,H each.
        attention: state of the mechanism of every attending layer.
    """

    position: int
    windows: tuple[Tensor, ...]
    attention: tuple[AttentionState, ...]


ConvolutionalState = DecoderState[tuple[Keys, ...], ConvolutionalProgress]


class AttentionStep(nn.Module):
    """Attention of one decoder layer (Gehring 2017, section 3.3).

    The query is d = W h + b + g with the target embedding g (equation 1), the context is added to
    h; both sums are halved in variance. The mechanism scales the context (section 3.4).
    """

    def __init__(self, factory: AttentionFactory, config: ModelConfig, memory_size: int) -> None:
        super().__init__()
        self.query = projection(config.hidden_dim, config.embedding_dim)
        self.attention = factory(
            Sizes(query=config.embedding_dim, memory=memory_size, heads=config.num_heads)
        )
        self.context = projection(self.attention.context_size, config.hidden_dim)

    def forward(
        self,
        hidden: Tensor,
        embedded: Tensor,
        keys: Keys,
        state: AttentionState,
        *,
        need_weights: bool,
        query_mask: Tensor,
    ) -> tuple[Tensor, AttentionOutput]:
        """Map B,T,H states and B,T,E embeddings, real where B,T `query_mask` is, to B,T,H states
        and the mechanism's output."""
        query = (self.query(hidden) + embedded) * HALVE  # B,T,E
        attended = attend_across(
            self.attention, query, keys, state, need_weights=need_weights, query_mask=query_mask
        )
        return (hidden + self.context(attended.context)) * HALVE, attended


class ConvolutionalDecoder(Decoder):
    """Causal gated convolutions with attention in every layer, or in some (Gehring 2017).

    Nothing in it is stepwise. Weights are means over the attending layers; parts are named
    "layer i". `contexts` are those of the last attending layer.

    Raises:
        UsageError: attention in a layer that does not exist, or in none.
    """

    def __init__(
        self, vocabulary_size: int, memory_size: int, config: ModelConfig, factory: AttentionFactory
    ) -> None:
        super().__init__()
        self.output_size = config.embedding_dim
        self.dropout, self.kernel_size = config.dropout, config.kernel_size
        self.attending = attending_layers(config)
        self.embedding = token_embedding(vocabulary_size, config.embedding_dim)
        self.positions = LearnedPositions(config.max_positions, config.embedding_dim)
        self.widen = projection(config.embedding_dim, config.hidden_dim, dropout=config.dropout)
        self.layers = nn.ModuleList(
            GatedConvolution(config.hidden_dim, config.kernel_size, config.dropout)
            for _ in range(config.decoder_layers)
        )
        self.attend = nn.ModuleList(
            AttentionStep(factory, config, memory_size) for _ in self.attending
        )
        self.narrow = projection(config.hidden_dim, config.embedding_dim)
        self.state_size = config.hidden_dim
        self.context_size = self._mechanisms()[-1].context_size

    def start(self, memory: Memory) -> ConvolutionalState:
        mechanisms = self._mechanisms()
        keys = tuple(attention.prepare(memory) for attention in mechanisms)
        remembered = tuple(
            attention.initial_state(one) for attention, one in zip(mechanisms, keys, strict=True)
        )
        empty = memory.states.new_zeros(len(memory.states), self.kernel_size - 1, self.state_size)
        return DecoderState(
            keys, ConvolutionalProgress(0, tuple(empty for _ in self.layers), remembered)
        )

    def _read(
        self, tokens: Tensor, state: ConvolutionalState, *, need_weights: bool
    ) -> tuple[Decoded, ConvolutionalState]:
        progress, count = state.progress, tokens.shape[1]
        embedded = self.embedding(tokens) + self.positions(progress.position, count)
        embedded = dropout(embedded, self.dropout, self.training)  # B,T,E
        states = self.widen(embedded)  # B,T,H
        windows: list[Tensor] = []
        seen: dict[int, AttentionOutput] = {}
        for number, layer in enumerate(self.layers, start=1):
            # Causal convolution: the last kernel - 1 inputs stand before the new ones.
            window = torch.cat((progress.windows[number - 1], states), dim=1)  # B,kernel-1+T,H
            windows.append(window[:, count:])
            hidden = layer(window)  # B,T,H
            if number in self.attending:
                place = self.attending.index(number)
                hidden, attended = self.attend[place](
                    hidden,
                    embedded,
                    state.source[place],
                    progress.attention[place],
                    need_weights=need_weights,
                    query_mask=tokens != 0,
                )
                seen[number] = attended
            states = (hidden + states) * HALVE  # B,T,H
        remembered = tuple(attended.state for attended in seen.values())
        after = ConvolutionalProgress(progress.position + count, tuple(windows), remembered)
        features = dropout(self.narrow(states), self.dropout, self.training)  # B,T,E
        weights, parts = layer_weights(seen)
        sampled, context = joint_sample(seen), attended.context
        decoded = Decoded(features, weights, parts, sampled, context, states, attended.weights)
        return decoded, DecoderState(state.source, after)

    def _mechanisms(self) -> list[Attention]:
        return [step.attention for step in self.attend]  # type: ignore[misc]


def attending_layers(config: ModelConfig) -> tuple[int, ...]:
    """Return the numbers, from 1 and rising, of the decoder layers that attend.

    Raises:
        UsageError: a layer that does not exist, or none at all.
    """
    every = tuple(range(1, config.decoder_layers + 1))
    if config.attention_layers is None:
        return every
    chosen = tuple(sorted(set(config.attention_layers)))
    if not chosen or not set(chosen) <= set(every):
        raise UsageError(
            f"attention_layers={','.join(map(str, config.attention_layers)) or 'none'} "
            f"does not fit {config.decoder_layers} decoder layers",
            remedy="name layers from 1 on, or leave it out for all",
        )
    return chosen

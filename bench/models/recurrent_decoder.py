"""Recurrent decoders: what they share, and the one without attention.

`forward` and `step` are the same code: both read some tokens with a state in hand, the whole
target from the first state, or one token from the last.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.attention.base import AttentionState, Keys
from bench.attention.memory import Memory
from bench.models.base import Decoded, Decoder, DecoderState, ModelSizes
from bench.models.bridge import Bridge
from bench.models.dropout import dropout
from bench.models.layers import linear, resize, token_embedding
from bench.models.recurrent_cells import Advance, CellState, RecurrentStack
from bench.models.tanh import tanh

#: Hypotheses from which on it is worth looking which of their last words are the same.
MANY = 64


@dataclass(frozen=True)
class RecurrentProgress:
    """What a recurrent decoder carries from token to token.

    Attributes:
        cells: states of all layers.
        attention: what the mechanism remembers.
        fed: B,E the last attentional vector, under input feeding.
        top: B,H the top layer's state with the last word added, in residual models; None before
            the first word.
    """

    cells: CellState
    attention: AttentionState
    fed: Tensor | None = None
    top: Tensor | None = None


RecurrentState = DecoderState[Keys, RecurrentProgress]


class RecurrentDecoder(Decoder):
    """Embeddings, bridge, cells and readout; where attention stands is the subclass's.

    Args:
        vocabulary_size: V.
        memory_size: D, size of the memory's states and of its summary.
        context_size: C.
        sizes: the model's.
        extra_size: size of what enters the first cell besides the embedding.
        readout_size: size of what the features are made from.
    """

    def __init__(
        self,
        vocabulary_size: int,
        memory_size: int,
        context_size: int,
        sizes: ModelSizes,
        *,
        extra_size: int,
        readout_size: int,
    ) -> None:
        super().__init__()
        self.output_size = sizes.embedding
        self.state_size, self.context_size = sizes.hidden, context_size
        self.dropout = sizes.dropout
        self.embedding = token_embedding(vocabulary_size, sizes.embedding)
        self.bridge = Bridge(memory_size, sizes.cell, sizes.hidden, sizes.decoder_layers)
        self.stack = RecurrentStack(
            sizes.cell,
            sizes.embedding,
            sizes.hidden,
            extra_size=extra_size,
            layers=sizes.decoder_layers,
            dropout=sizes.dropout,
        )
        self.readout = linear(readout_size, sizes.embedding)
        self.skip = resize(sizes.embedding, sizes.hidden) if sizes.residual else None

    @abstractmethod
    def start(self, memory: Memory) -> RecurrentState: ...

    @abstractmethod
    def _read(
        self, tokens: Tensor, state: RecurrentState, *, need_weights: bool
    ) -> tuple[Decoded, RecurrentState]:
        """Read B,T tokens on from `state`."""

    def forward(self, tokens: Tensor, memory: Memory, *, need_weights: bool = False) -> Decoded:
        return self._read(tokens, self.start(memory), need_weights=need_weights)[0]

    def step(
        self, tokens: Tensor, state: RecurrentState, *, need_weights: bool = True
    ) -> tuple[Decoded, RecurrentState]:
        return self._read(tokens[:, None], state, need_weights=need_weights)

    def _embed(self, tokens: Tensor) -> Tensor:
        return self._drop(self.embedding(tokens))  # B,T,E

    def _advance(self, tokens: Tensor, embedded: Tensor) -> Advance:
        """Ready to walk along B,T tokens and their embeddings. Of the last words of a search's many
        hypotheses, most are the same few: these are projected once."""
        searches = not (self.training or torch.is_grad_enabled() or tokens.is_cuda)
        if not searches or tokens.shape[1] > 1 or len(tokens) < MANY:
            return self.stack.steps(embedded)
        words, places = tokens[:, 0].unique(return_inverse=True)
        return self.stack.steps(self.embedding(words)[:, None], places)

    def _with_words(self, hidden: Tensor, embedded: Tensor) -> Tensor:
        """States ...,H with what their words ...,E add in residual models."""
        return hidden if self.skip is None else hidden + self.skip(embedded)

    def _drop(self, tensor: Tensor) -> Tensor:
        return dropout(tensor, self.dropout, self.training)

    def _vector(self, *sources: Tensor) -> Tensor:
        """tanh(W [sources]): the readout of Bahdanau 2015 and the attentional vector of Luong
        2015, equation 5, before dropout."""
        return tanh(self.readout(torch.cat(sources, dim=-1)))


class FixedDecoder(RecurrentDecoder):
    """The control: the summary enters every step and the readout (Cho 2014). Nothing is attended
    to, so the whole target is one fused call."""

    def __init__(self, vocabulary_size: int, memory_size: int, sizes: ModelSizes) -> None:
        super().__init__(
            vocabulary_size,
            memory_size,
            memory_size,
            sizes,
            extra_size=memory_size,
            readout_size=sizes.hidden + memory_size + sizes.embedding,
        )

    def start(self, memory: Memory) -> RecurrentState:
        cells = self.bridge(memory.summary)
        return DecoderState(Keys(memory), RecurrentProgress(cells, AttentionState()))

    def _read(
        self, tokens: Tensor, state: RecurrentState, *, need_weights: bool
    ) -> tuple[Decoded, RecurrentState]:
        embedded = self._embed(tokens)  # B,T,E
        summary = state.source.memory.summary
        contexts = summary[:, None].expand(-1, tokens.shape[1], -1)  # B,T,D
        hidden, cells = self.stack(
            torch.cat((embedded, contexts), dim=2), state.progress.cells
        )  # B,T,H
        hidden = self._with_words(hidden, embedded)
        features = self._drop(self._vector(self._drop(hidden), contexts, embedded))
        progress = RecurrentProgress(cells, state.progress.attention)
        return (
            Decoded(features, contexts=contexts, hidden=hidden),
            DecoderState(state.source, progress),
        )

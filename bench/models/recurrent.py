"""Recurrent encoder: GRU or LSTM, one way or both ways."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.attention.base import (
    Attended,
    Attention,
    AttentionState,
    Keys,
    Memory,
    join_steps,
    zero_padding,
)
from bench.models.base import Decoded, Decoder, DecoderState, Encoder, ModelSizes
from bench.models.layers import dropout, dropout_factors, linear, resize, token_embedding
from bench.models.recurrent_cells import (
    CellState,
    Gru,
    Lstm,
    RecurrentStack,
    Steps,
    halved,
    initialise_recurrent,
    is_lstm,
)


class RecurrentEncoder(Encoder):
    """Bidirectional GRU or LSTM (Bahdanau 2015, appendix A.2.1), or left to right only.

    The backward direction reads every sequence reversed within its own length, so that padding
    comes after the real positions for both directions and never reaches a state that counts.
    That needs neither sorting nor packing, and each direction is one fused call.

    The summary is the last forward state and the first backward state of the top layer.

    Raises:
        UsageError: an odd hidden size for two directions.
    """

    def __init__(self, input_size: int, sizes: ModelSizes) -> None:
        super().__init__()
        self.output_size = sizes.hidden
        self.dropout = sizes.dropout
        self.forwards, self.backwards = nn.ModuleList(), nn.ModuleList()
        self.skip = resize(input_size, sizes.hidden) if sizes.residual else None
        hidden = halved(sizes.hidden) if sizes.bidirectional else sizes.hidden
        for layer in range(sizes.encoder_layers):
            size = sizes.hidden if layer else input_size
            self.forwards.append(_direction(sizes.cell, size, hidden))
            if sizes.bidirectional:
                self.backwards.append(_direction(sizes.cell, size, hidden))

    def forward(self, features: Tensor, mask: Tensor, segments: Tensor | None = None) -> Memory:
        last = mask.sum(dim=1) - 1  # B
        reversal = _reversal(last, mask.shape[1])  # B*S
        states = features
        for layer, forwards in enumerate(self.forwards):
            if layer:
                states = dropout(states, self.dropout, self.training)
            onwards, _ = forwards(states)  # B,S,H
            if not self.backwards:
                states = onwards
                continue
            turned, _ = self.backwards[layer](_reorder(states, reversal))
            states = torch.cat((onwards, _reorder(turned, reversal)), dim=2)  # B,S,2H
        if self.skip is not None:
            states = states + self.skip(features)
        size = onwards.shape[2]
        ends = states[torch.arange(len(last), device=last.device), last, :size]  # B,H
        summary = torch.cat((ends, states[:, 0, size:]), dim=1)  # B,D
        return Memory(zero_padding(states, mask), mask, summary, segments=segments)


def _direction(cell: str, input_size: int, hidden: int) -> nn.Module:
    layer = (Lstm if is_lstm(cell) else Gru)(input_size, hidden, batch_first=True)
    initialise_recurrent(layer)
    return layer


def _reversal(last: Tensor, size: int) -> Tensor:
    """B*S: the positions of each row from the last real one down to 0, then the padding as it
    stands, as places in the flattened batch. Applied twice it changes nothing."""
    positions = torch.arange(size, device=last.device)[None, :]
    turned = last[:, None] - positions
    rows = torch.arange(len(last), device=last.device)[:, None] * size
    return (torch.where(turned >= 0, turned, positions) + rows).flatten()


def _reorder(states: Tensor, places: Tensor) -> Tensor:
    """B,S,D with its B*S positions rearranged; whole rows are copied, which `gather` is not
    made for (4 to 8 times as slow on a CPU)."""
    return states.flatten(0, 1).index_select(0, places).view(states.shape)


# From the fixed vector to the first state of a recurrent decoder.


class Bridge(nn.Module):
    """tanh(W summary + b) for the state of every layer (Bahdanau 2015, appendix A.2.2), and for
    the cell of every LSTM layer, all in one product."""

    def __init__(self, summary_size: int, cell: str, hidden: int, layers: int) -> None:
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.project = nn.Linear(summary_size, layers * hidden * (2 if is_lstm(cell) else 1))
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, summary: Tensor) -> CellState:
        """B,D to the states of all layers, each B,H."""
        states = torch.tanh(self.project(summary)).split(self.hidden, dim=1)
        return CellState(states[: self.layers], states[self.layers :])


# Recurrent decoders: what they share, and the one without attention.
#
# `forward` and `step` are the same code: both read some tokens with a state in hand, the whole
# target from the first state, or one token from the last.

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

    def _advance(self, tokens: Tensor, embedded: Tensor) -> Steps:
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
        return torch.tanh(self.readout(torch.cat(sources, dim=-1)))


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


# Recurrent decoders that attend: with the previous state, or with the current one.


class AttentiveDecoder(RecurrentDecoder):
    """What the two share: the mechanism and its keys."""

    def __init__(
        self,
        vocabulary_size: int,
        memory_size: int,
        sizes: ModelSizes,
        attention: Attention,
        *,
        extra_size: int,
        readout_size: int,
    ) -> None:
        super().__init__(
            vocabulary_size,
            memory_size,
            attention.context_size,
            sizes,
            extra_size=extra_size,
            readout_size=readout_size,
        )
        self.attention = attention

    @property
    def shares_source(self) -> bool:
        return self.attention.shares_keys

    def start(self, memory: Memory) -> RecurrentState:
        keys = self.attention.prepare(memory)
        cells = self.bridge(memory.summary)
        fed = self._first_fed(cells.hidden[-1])
        return DecoderState(keys, RecurrentProgress(cells, self.attention.initial_state(keys), fed))

    def _first_fed(self, hidden: Tensor) -> Tensor | None:
        return None


class BeforeDecoder(AttentiveDecoder):
    """Attention with the previous state of the top layer; the context enters the first layer's
    cell (Bahdanau 2015, appendix A.2.2).

    The loop holds attention, the context's part of the input projection, and the cells. The
    readout tanh(W [h; c; y]) is made for all positions after it. Without `ModelSizes.carry` the
    state is a query and no more: every step's cells start from zero.
    """

    def __init__(
        self, vocabulary_size: int, memory_size: int, sizes: ModelSizes, attention: Attention
    ) -> None:
        context = attention.context_size
        super().__init__(
            vocabulary_size,
            memory_size,
            sizes,
            attention,
            extra_size=context,
            readout_size=sizes.hidden + context + sizes.embedding,
        )
        self.carry = sizes.carry

    def _read(
        self, tokens: Tensor, state: RecurrentState, *, need_weights: bool
    ) -> tuple[Decoded, RecurrentState]:
        keys, cells = state.source, state.progress.cells
        remembered = state.progress.attention
        embedded = self._embed(tokens)  # B,T,E
        advance = self._advance(tokens, embedded)
        attended: list[Attended] = []
        tops: list[Tensor] = []
        top = cells.hidden[-1] if state.progress.top is None else state.progress.top
        for step in range(tokens.shape[1]):
            now = self.attention(top[:, None], keys, remembered, need_weights=need_weights)
            remembered = now.state
            cells = advance(step, now.context[:, 0], cells if self.carry else cells.emptied())
            top = self._with_words(cells.hidden[-1], embedded[:, step])  # B,H
            attended.append(now)
            tops.append(top)
        hidden = torch.stack(tops, dim=1)  # B,T,H
        every = join_steps(attended)
        features = self._drop(self._vector(self._drop(hidden), every.context, embedded))
        after = RecurrentProgress(cells, remembered, top=None if self.skip is None else top)
        return _decoded(features, hidden, every), DecoderState(keys, after)


class AfterDecoder(AttentiveDecoder):
    """Attention with the current state of the top layer, then the attentional vector
    tanh(W [c; h]) (Luong 2015, section 3).

    Without input feeding no cell waits for a context: the cells run over the whole target in one
    fused call and all queries attend at once. With it (section 3.3) the attentional vector enters
    the next step's first cell, and everything but the embeddings' projection is stepwise.
    """

    def __init__(
        self, vocabulary_size: int, memory_size: int, sizes: ModelSizes, attention: Attention
    ) -> None:
        super().__init__(
            vocabulary_size,
            memory_size,
            sizes,
            attention,
            extra_size=sizes.embedding if sizes.input_feeding else 0,
            readout_size=attention.context_size + sizes.hidden,
        )
        self.input_feeding = sizes.input_feeding

    def _first_fed(self, hidden: Tensor) -> Tensor | None:
        if not self.input_feeding:
            return None
        return hidden.new_zeros(hidden.shape[0], self.output_size)

    def _read(
        self, tokens: Tensor, state: RecurrentState, *, need_weights: bool
    ) -> tuple[Decoded, RecurrentState]:
        if state.progress.fed is not None:
            return self._read_fed(tokens, state, state.progress.fed, need_weights=need_weights)
        embedded = self._embed(tokens)  # B,T,E
        hidden, cells = self.stack(embedded, state.progress.cells)  # B,T,H
        hidden = self._with_words(hidden, embedded)
        # Padding is no query: most mechanisms need not know, since queries do not meet.
        further = {"query_mask": tokens != 0} if self.attention.looks_ahead else {}
        attended = self.attention(
            hidden, state.source, state.progress.attention, need_weights=need_weights, **further
        )
        features = self._drop(self._vector(attended.context, self._drop(hidden)))
        after = RecurrentProgress(cells, attended.state)
        return _decoded(features, hidden, attended), DecoderState(state.source, after)

    def _read_fed(
        self, tokens: Tensor, state: RecurrentState, fed: Tensor, *, need_weights: bool
    ) -> tuple[Decoded, RecurrentState]:
        keys: Keys = state.source
        cells, remembered = state.progress.cells, state.progress.attention
        embedded = self._embed(tokens)  # B,T,E
        # Drawn for all steps at once: factors B,T,H of states, B,T,E of attentional vectors.
        factors: list[Tensor] = []
        if self.training and self.dropout:
            shapes = ((*tokens.shape, size) for size in (self.state_size, self.output_size))
            factors.extend(dropout_factors(shape, self.dropout, embedded) for shape in shapes)
        advance = self._advance(tokens, embedded)
        attended: list[Attended] = []
        tops: list[Tensor] = []
        vectors: list[Tensor] = []
        for step in range(tokens.shape[1]):
            cells = advance(step, fed, cells)
            top = self._with_words(cells.hidden[-1], embedded[:, step])  # B,H
            now = self.attention(top[:, None], keys, remembered, need_weights=need_weights)
            remembered = now.state
            kept = top * factors[0][:, step] if factors else top
            fed = self._vector(now.context[:, 0], kept)  # B,E
            fed = fed * factors[1][:, step] if factors else fed
            attended.append(now)
            tops.append(top)
            vectors.append(fed)
        decoded = _decoded(
            torch.stack(vectors, dim=1), torch.stack(tops, dim=1), join_steps(attended)
        )
        return decoded, DecoderState(keys, RecurrentProgress(cells, remembered, fed))


def _decoded(features: Tensor, hidden: Tensor, attended: Attended) -> Decoded:
    return Decoded(
        features,
        weights=attended.weights,
        parts=attended.parts,
        sampled=attended.sampled,
        contexts=attended.context,
        hidden=hidden,
    )

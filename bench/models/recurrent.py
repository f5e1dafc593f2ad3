"""Recurrent encoder and decoders, of GRU or LSTM layers.

The decoders differ in where attention stands: nowhere (the control), with the previous state
(Bahdanau 2015), or with the current one (Luong 2015). `forward` and `step` are the same code: both
read some tokens with a state in hand, the whole target from the first state, or one token from the
last.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from bench.attention.base import (
    Attention,
    AttentionOutput,
    AttentionState,
    Keys,
    Memory,
    join_steps,
    zero_padding,
)
from bench.errors import UsageError
from bench.models.base import Decoded, Decoder, DecoderState, Encoder, ModelConfig
from bench.models.layers import (
    attend_across,
    dropout,
    dropout_factors,
    linear,
    resize,
    token_embedding,
)
from bench.models.recurrent_cells import (
    CellState,
    RecurrentStack,
    Steps,
    is_lstm,
    recurrent_layers,
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

    def __init__(self, input_size: int, config: ModelConfig) -> None:
        super().__init__()
        self.output_size = config.hidden_dim
        self.dropout = config.dropout
        self.forwards, self.backwards = nn.ModuleList(), nn.ModuleList()
        self.skip = resize(input_size, config.hidden_dim) if config.residual else None
        directions = (self.forwards, self.backwards)[: 2 if config.bidirectional else 1]
        hidden, odd = divmod(config.hidden_dim, len(directions))
        if odd:
            raise UsageError(
                f"hidden_dim={config.hidden_dim} is not divisible by two directions",
                remedy="use an even size",
            )
        for layer in range(config.encoder_layers):
            size = config.hidden_dim if layer else input_size
            for direction in directions:
                direction.append(recurrent_layers(config.rnn_type, size, hidden))

    def forward(self, features: Tensor, mask: Tensor, segments: Tensor | None = None) -> Memory:
        last = mask.sum(dim=1) - 1  # B, the last real position
        reversal = _reversal(last, mask.shape[1])  # B*S
        states = features  # B,S,E
        for layer, forwards in enumerate(self.forwards):
            if layer:
                states = dropout(states, self.dropout, self.training)
            onwards, _ = forwards(states)  # B,S,H
            if not self.backwards:
                states = onwards
                continue
            # The backward direction reads reversed sequences, and its states are put back in order.
            reversed_, _ = self.backwards[layer](_reorder(states, reversal))
            states = torch.cat((onwards, _reorder(reversed_, reversal)), dim=2)  # B,S,2H
        if self.skip is not None:
            states = states + self.skip(features)
        # Summary: the last forward state and the first backward state.
        size = onwards.shape[2]
        ends = states[torch.arange(len(last), device=last.device), last, :size]  # B,H
        summary = torch.cat((ends, states[:, 0, size:]), dim=1)  # B,D
        return Memory(zero_padding(states, mask), mask, summary, segments=segments)


def _reversal(last: Tensor, size: int) -> Tensor:
    """Order that reverses each row within its real length, as B*S places in the flattened batch.
    Padding stays where it is. Applied twice it changes nothing."""
    positions = torch.arange(size, device=last.device)[None, :]  # 1,S
    mirrored = last[:, None] - positions  # B,S
    rows = torch.arange(len(last), device=last.device)[:, None] * size  # B,1
    return (torch.where(mirrored >= 0, mirrored, positions) + rows).flatten()


def _reorder(states: Tensor, places: Tensor) -> Tensor:
    """Rearrange the B*S positions of B,S,D states. Whole rows are copied, which `gather` is not
    made for (4 to 8 times as slow on a CPU)."""
    return states.flatten(0, 1).index_select(0, places).view(states.shape)


class Bridge(nn.Module):
    """tanh(W summary + b) for the state of every layer (Bahdanau 2015, appendix A.2.2), and for
    the cell of every LSTM layer, all in one product."""

    def __init__(self, summary_size: int, cell: str, hidden: int, layers: int) -> None:
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.project = linear(summary_size, layers * hidden * (2 if is_lstm(cell) else 1))

    def forward(self, summary: Tensor) -> CellState:
        """Map the summary B,D to the states of all layers, each B,H."""
        states = torch.tanh(self.project(summary)).split(self.hidden, dim=1)
        return CellState(states[: self.layers], states[self.layers :])


#: Hypotheses from which projecting each distinct last word once is faster than projecting them all.
MANY = 64


@dataclass(frozen=True)
class RecurrentProgress:
    """The part of a recurrent decoder's state that changes from token to token.

    Attributes:
        cells: states of all layers.
        attention: state of the mechanism.
        attentional_hidden: B,E the last attentional hidden state, under input feeding.
        top: B,H the top layer's state with the last word added, in residual models; None before
            the first word.
    """

    cells: CellState
    attention: AttentionState
    attentional_hidden: Tensor | None = None
    top: Tensor | None = None

    @property
    def last_top(self) -> Tensor:
        """B,H the top layer's state after the last word read."""
        return self.cells.hidden[-1] if self.top is None else self.top


RecurrentState = DecoderState[Keys, RecurrentProgress]


class RecurrentDecoder(Decoder):
    """Base of recurrent decoders: embeddings, bridge, cells and readout.

    Args:
        vocabulary_size: V.
        memory_size: D, size of the memory's states and of its summary.
        context_size: C.
        config: sizes and choices of the model.
        extra_size: size of the first cell's input besides the embedding; None for a context.
        readout_size: size of the readout's input; None for state, context and embedding.
        maxout: whether features are maxima over pairs in place of tanh.
    """

    def __init__(
        self,
        vocabulary_size: int,
        memory_size: int,
        context_size: int,
        config: ModelConfig,
        *,
        extra_size: int | None = None,
        readout_size: int | None = None,
        maxout: bool = False,
    ) -> None:
        super().__init__()
        everything = config.hidden_dim + context_size + config.embedding_dim
        self.output_size = config.embedding_dim
        self.state_size, self.context_size = config.hidden_dim, context_size
        self.dropout = config.dropout
        self.embedding = token_embedding(vocabulary_size, config.embedding_dim)
        self.bridge = Bridge(memory_size, config.rnn_type, config.hidden_dim, config.decoder_layers)
        self.stack = RecurrentStack(
            config.rnn_type,
            config.embedding_dim,
            config.hidden_dim,
            extra_size=context_size if extra_size is None else extra_size,
            layers=config.decoder_layers,
            dropout=config.dropout,
        )
        self.maxout = maxout
        features = config.embedding_dim * (2 if maxout else 1)
        self.readout = linear(readout_size or everything, features)
        self.skip = resize(config.embedding_dim, config.hidden_dim) if config.residual else None

    def _embed(self, tokens: Tensor) -> Tensor:
        return self._drop(self.embedding(tokens))  # B,T,E

    def _advance(self, tokens: Tensor, embedded: Tensor) -> Steps:
        """Prepare to step along B,T tokens and their embeddings. Most last words of a search's many
        hypotheses are the same few, which are projected once."""
        searches = not (self.training or torch.is_grad_enabled() or tokens.is_cuda)
        if not searches or tokens.shape[1] > 1 or len(tokens) < MANY:
            return self.stack.steps(embedded)
        words, places = tokens[:, 0].unique(return_inverse=True)
        return self.stack.steps(self.embedding(words)[:, None], places)

    def _with_words(self, hidden: Tensor, embedded: Tensor) -> Tensor:
        """Add the words ...,E to the states ...,H in residual models."""
        return hidden if self.skip is None else hidden + self.skip(embedded)

    def _drop(self, tensor: Tensor) -> Tensor:
        return dropout(tensor, self.dropout, self.training)

    def _features(self, *sources: Tensor) -> Tensor:
        """Return features ...,E, before dropout: tanh(W [sources]), the attentional hidden state of
        Luong 2015, equation 5; or the maxout layer of Bahdanau 2015, appendix A.2.2, maxima over
        pairs of 2E linear units."""
        units = self.readout(torch.cat(sources, dim=-1))
        return units.unflatten(-1, (-1, 2)).amax(dim=-1) if self.maxout else torch.tanh(units)


class FixedDecoder(RecurrentDecoder):
    """The control: the summary enters every step and the readout (Cho 2014). Nothing is attended
    to, so the whole target is one fused call.

    `ModelConfig.readout` as in `PreviousStateDecoder`.
    """

    def __init__(self, vocabulary_size: int, memory_size: int, config: ModelConfig) -> None:
        maxout = config.readout == "maxout"
        super().__init__(vocabulary_size, memory_size, memory_size, config, maxout=maxout)

    def start(self, memory: Memory) -> RecurrentState:
        cells = self.bridge(memory.summary)
        return DecoderState(Keys(memory), RecurrentProgress(cells, AttentionState()))

    def _read(
        self, tokens: Tensor, state: RecurrentState, *, need_weights: bool
    ) -> tuple[Decoded, RecurrentState]:
        embedded = self._embed(tokens)  # B,T,E
        # The summary is the context of every step.
        summary = state.source.memory.summary  # B,D
        contexts = summary[:, None].expand(-1, tokens.shape[1], -1)  # B,T,D
        inputs = torch.cat((embedded, contexts), dim=2)  # B,T,E+D
        hidden, cells = self.stack(inputs, state.progress.cells)  # B,T,H
        hidden = self._with_words(hidden, embedded)
        # Readout of all positions; maxout reads the states before them.
        states = hidden  # B,T,H
        if self.maxout:
            states = torch.cat((state.progress.last_top[:, None], hidden[:, :-1]), dim=1)
        features = self._drop(self._features(self._drop(states), contexts, embedded))
        top = hidden[:, -1] if self.maxout and self.skip is not None else None
        after = RecurrentProgress(cells, state.progress.attention, top=top)
        decoded = Decoded(features, contexts=contexts, hidden=hidden)
        return decoded, DecoderState(state.source, after)


class AttentiveDecoder(RecurrentDecoder):
    """Base of the recurrent decoders that attend: it holds the mechanism and prepares its keys."""

    attention: Attention
    #: Whether the attentional hidden state enters the next step.
    input_feeding = False

    @property
    def source_shared_across_beams(self) -> bool:
        return self.attention.keys_shared_across_beams

    def start(self, memory: Memory) -> RecurrentState:
        keys = self.attention.prepare(memory)
        cells = self.bridge(memory.summary)
        remembered = self.attention.initial_state(keys)
        top = cells.hidden[-1]
        first = top.new_zeros(len(top), self.output_size) if self.input_feeding else None
        return DecoderState(keys, RecurrentProgress(cells, remembered, first))


class PreviousStateDecoder(AttentiveDecoder):
    """Attention with the previous state of the top layer; the context enters the first layer's
    cell (Bahdanau 2015, appendix A.2.2).

    The loop holds attention, the context's part of the input projection, and the cells. The
    readout is made for all positions after it: tanh(W [h_t; c_t; y_{t-1}]), in which the new state
    stands, or with `ModelConfig.readout` "maxout" the paper's, maxout(W [h_{t-1}; c_t; y_{t-1}]).
    Without `ModelConfig.carry` the state is a query and no more: every step's cells start from
    zero.
    """

    asks_before_reading = True

    def __init__(
        self, vocabulary_size: int, memory_size: int, config: ModelConfig, attention: Attention
    ) -> None:
        maxout = config.readout == "maxout"
        super().__init__(
            vocabulary_size, memory_size, attention.context_size, config, maxout=maxout
        )
        self.attention = attention
        self.carry = config.carry

    def _read(
        self, tokens: Tensor, state: RecurrentState, *, need_weights: bool
    ) -> tuple[Decoded, RecurrentState]:
        keys, cells = state.source, state.progress.cells
        remembered = state.progress.attention
        embedded = self._embed(tokens)  # B,T,E
        # Everything known beforehand is projected for all positions at once.
        advance = self._advance(tokens, embedded)
        attended: list[AttentionOutput] = []
        tops: list[Tensor] = []
        top = first = state.progress.last_top  # B,H
        for step in range(tokens.shape[1]):
            # Attend with the previous state; the context B,1,C enters the cells.
            now = self.attention(top[:, None], keys, remembered, need_weights=need_weights)
            remembered = now.state
            cells = advance(step, now.context[:, 0], cells if self.carry else cells.zeros_like())
            top = self._with_words(cells.hidden[-1], embedded[:, step])  # B,H
            attended.append(now)
            tops.append(top)
        # Readout of all positions; maxout reads the states that were the queries.
        hidden = torch.stack(tops, dim=1)  # B,T,H
        states = torch.stack([first, *tops[:-1]], dim=1) if self.maxout else hidden  # B,T,H
        every = join_steps(attended)
        features = self._drop(self._features(self._drop(states), every.context, embedded))
        after = RecurrentProgress(cells, remembered, top=None if self.skip is None else top)
        return _decoded(features, hidden, every), DecoderState(keys, after)


class CurrentStateDecoder(AttentiveDecoder):
    """Attention with the current state of the top layer, then the attentional hidden state
    tanh(W [c; h]) (Luong 2015, section 3).

    Without input feeding no cell waits for a context: the cells run over the whole target in one
    fused call and all queries attend at once. With it (section 3.3) the attentional hidden state
    enters the next step's first cell, and everything but the embeddings' projection is stepwise.
    """

    def __init__(
        self, vocabulary_size: int, memory_size: int, config: ModelConfig, attention: Attention
    ) -> None:
        super().__init__(
            vocabulary_size,
            memory_size,
            attention.context_size,
            config,
            extra_size=config.embedding_dim if config.input_feeding else 0,
            readout_size=attention.context_size + config.hidden_dim,
        )
        self.attention = attention
        self.input_feeding = config.input_feeding

    def _read(
        self, tokens: Tensor, state: RecurrentState, *, need_weights: bool
    ) -> tuple[Decoded, RecurrentState]:
        if self.input_feeding:
            return self._read_with_input_feeding(tokens, state, need_weights=need_weights)
        embedded = self._embed(tokens)  # B,T,E
        hidden, cells = self.stack(embedded, state.progress.cells)  # B,T,H
        hidden = self._with_words(hidden, embedded)
        attended = attend_across(
            self.attention,
            hidden,
            state.source,
            state.progress.attention,
            need_weights=need_weights,
            query_mask=tokens != 0,
        )
        features = self._drop(self._features(attended.context, self._drop(hidden)))
        after = RecurrentProgress(cells, attended.state)
        return _decoded(features, hidden, attended), DecoderState(state.source, after)

    def _read_with_input_feeding(
        self, tokens: Tensor, state: RecurrentState, *, need_weights: bool
    ) -> tuple[Decoded, RecurrentState]:
        keys: Keys = state.source
        cells, remembered = state.progress.cells, state.progress.attention
        vector = state.progress.attentional_hidden  # B,E
        assert vector is not None, "the state is of a decoder without input feeding"
        embedded = self._embed(tokens)  # B,T,E
        # Dropout drawn for all steps at once: factors B,T,H of states, B,T,E of what is fed.
        factors: list[Tensor] = []
        if self.training and self.dropout:
            shapes = ((*tokens.shape, size) for size in (self.state_size, self.output_size))
            factors.extend(dropout_factors(shape, self.dropout, embedded) for shape in shapes)
        advance = self._advance(tokens, embedded)
        attended: list[AttentionOutput] = []
        tops: list[Tensor] = []
        vectors: list[Tensor] = []
        for step in range(tokens.shape[1]):
            # The last attentional hidden state enters the cells, whose state is the query.
            cells = advance(step, vector, cells)
            top = self._with_words(cells.hidden[-1], embedded[:, step])  # B,H
            now = self.attention(top[:, None], keys, remembered, need_weights=need_weights)
            remembered = now.state
            kept = top * factors[0][:, step] if factors else top
            vector = self._features(now.context[:, 0], kept)  # B,E
            vector = vector * factors[1][:, step] if factors else vector
            attended.append(now)
            tops.append(top)
            vectors.append(vector)
        decoded = _decoded(
            torch.stack(vectors, dim=1), torch.stack(tops, dim=1), join_steps(attended)
        )
        return decoded, DecoderState(keys, RecurrentProgress(cells, remembered, vector))


def _decoded(features: Tensor, hidden: Tensor, attended: AttentionOutput) -> Decoded:
    return Decoded(
        features,
        weights=attended.weights,
        parts=attended.parts,
        sampled=attended.sampled,
        contexts=attended.context,
        hidden=hidden,
        last_weights=attended.weights,
    )

"""Recurrent decoders that attend: with the previous state, or with the current one."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.attention.base import Attended, Attention, AttentionState, Keys
from bench.attention.core import DotProducts, ScoredAttention
from bench.attention.memory import Memory
from bench.attention.stepping import join_steps
from bench.models import fed_loop
from bench.models.base import Decoded, DecoderState, ModelSizes
from bench.models.dropout import dropout_factors
from bench.models.gru_sequence import Gru, trains_on_cpu
from bench.models.recurrent_cells import CellState, layer_parameters
from bench.models.recurrent_decoder import RecurrentDecoder, RecurrentProgress, RecurrentState


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
        dropped = self._dropped(embedded)
        if not need_weights and tokens.shape[1] > 1:
            products = self._dot_products(embedded, keys)
            if products is not None:
                return self._walk(embedded, state, fed, products, dropped)
        advance = self._advance(tokens, embedded)
        attended: list[Attended] = []
        tops: list[Tensor] = []
        vectors: list[Tensor] = []
        for step in range(tokens.shape[1]):
            cells = advance(step, fed, cells)
            top = self._with_words(cells.hidden[-1], embedded[:, step])  # B,H
            now = self.attention(top[:, None], keys, remembered, need_weights=need_weights)
            remembered = now.state
            kept = top if dropped is None else top * dropped.states[:, step]
            fed = self._vector(now.context[:, 0], kept)  # B,E
            fed = fed if dropped is None else fed * dropped.vectors[:, step]
            attended.append(now)
            tops.append(top)
            vectors.append(fed)
        decoded = _decoded(
            torch.stack(vectors, dim=1), torch.stack(tops, dim=1), join_steps(attended)
        )
        return decoded, DecoderState(keys, RecurrentProgress(cells, remembered, fed))

    def _dropped(self, embedded: Tensor) -> fed_loop.Dropped | None:
        """What dropout multiplies by at all steps, if it does."""
        if not (self.training and self.dropout):
            return None
        sizes = (self.state_size, self.output_size)
        shapes = ((*embedded.shape[:2], size) for size in sizes)
        return fed_loop.Dropped(
            *(dropout_factors(shape, self.dropout, embedded) for shape in shapes)
        )

    def _dot_products(self, embedded: Tensor, keys: Keys) -> DotProducts | None:
        """What the attention is, if all steps can be one function; else None."""
        single = isinstance(self.stack.rnn, Gru) and self.stack.layers == 1 and self.skip is None
        if not single or not isinstance(self.attention, ScoredAttention):
            return None
        products = self.attention.as_dot_products(keys)
        if products is None or not trains_on_cpu(embedded, products.keys, products.values):
            return None
        return products

    def _walk(
        self,
        embedded: Tensor,
        state: RecurrentState,
        fed: Tensor,
        products: DotProducts,
        dropped: fed_loop.Dropped | None,
    ) -> tuple[Decoded, RecurrentState]:
        """As `_read_fed`, in one function."""
        first = state.progress.cells.hidden[0]
        cell = layer_parameters(self.stack.rnn, 0)
        parameters = fed_loop.Parameters(cell, self.readout.weight, self.readout.bias)
        walked = fed_loop.walk(embedded, first, fed, products, parameters, dropped)
        before = state.progress.attention
        after = RecurrentProgress(
            CellState((walked.states[:, -1],)),
            AttentionState(before.position + embedded.shape[1], before.tensors),
            walked.vectors[:, -1],
        )
        decoded = Decoded(walked.vectors, contexts=walked.contexts, hidden=walked.states)
        return decoded, DecoderState(state.source, after)


def _decoded(features: Tensor, hidden: Tensor, attended: Attended) -> Decoded:
    return Decoded(
        features,
        weights=attended.weights,
        parts=attended.parts,
        sampled=attended.sampled,
        contexts=attended.context,
        hidden=hidden,
    )

"""Recurrent decoders against the papers' equations; last words that many hypotheses share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from bench.attention.base import Memory
from bench.models import recurrent as recurrent_decoder
from bench.models.base import Decoded
from bench.models.recurrent import RecurrentDecoder
from bench.models.recurrent_cells import CellState

CELLS = ["gru", "lstm"]


@dataclass
class Reference:
    """A decoder's own layers, to be put together again."""

    decoder: RecurrentDecoder
    memory: Memory

    def first(self) -> CellState:
        """tanh(W summary + b), cut into the states of the layers and then the cells."""
        projection = self.decoder.bridge.project
        flat = torch.tanh(self.memory.summary @ projection.weight.t() + projection.bias)
        stack = self.decoder.stack
        pieces = [
            flat[:, start : start + stack.hidden] for start in range(0, flat.shape[1], stack.hidden)
        ]
        return CellState(tuple(pieces[: stack.layers]), tuple(pieces[stack.layers :]))

    def cell(self, inputs: Tensor, state: CellState) -> CellState:
        """One step of `nn.GRU` or `nn.LSTM`."""
        hidden = torch.stack(state.hidden)
        if self.decoder.stack.lstm:
            _, (hidden, cells) = self.decoder.stack.rnn(
                inputs[:, None], (hidden, torch.stack(state.cells))
            )
            return CellState(tuple(hidden), tuple(cells))
        return CellState(tuple(self.decoder.stack.rnn(inputs[:, None], hidden)[1]))

    def vector(self, *sources: Tensor) -> Tensor:
        readout = self.decoder.readout
        units = torch.cat(sources, dim=1) @ readout.weight.t() + readout.bias
        if not self.decoder.maxout:
            return torch.tanh(units)
        return torch.stack([pair.amax(dim=1) for pair in units.split(2, dim=1)], dim=1)

    def embedded(self, tokens: Tensor) -> Iterator[Tensor]:
        yield from self.decoder.embedding.weight[tokens].unbind(1)


def _assert_same(decoded: Decoded, features: list, hidden: list, contexts: list) -> None:
    torch.testing.assert_close(decoded.features, torch.stack(features, dim=1))
    torch.testing.assert_close(decoded.hidden, torch.stack(hidden, dim=1))
    torch.testing.assert_close(decoded.contexts, torch.stack(contexts, dim=1))


@pytest.fixture
def reference(make_model: Callable, make_batch: Callable) -> Callable:
    def make(attention: str, score: str, **changed: object) -> tuple[Reference, Tensor, Decoded]:
        encoder, decoder = make_model(attention, score, **changed)
        features, mask, tokens = make_batch([6, 1, 4])
        memory = encoder(features, mask)
        return Reference(decoder, memory), tokens, decoder(tokens, memory)

    return make


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize(
    ("attention", "score"), [("soft", "concat"), ("soft", "location-aware"), ("hard", "dot")]
)
def test_before_attends_with_the_previous_top_state(
    attention: str, score: str, cell: str, reference: Callable
) -> None:
    """Bahdanau 2015, appendix A.2.2: c_i from s_i-1, s_i from y_i-1 and c_i."""
    model, tokens, decoded = reference(attention, score, rnn_type=cell)
    mechanism = model.decoder.attention
    keys, state = mechanism.prepare(model.memory), model.first()
    remembered = mechanism.initial_state(keys)
    features, hidden, contexts = [], [], []
    for embedded in model.embedded(tokens):
        attended = mechanism(state.hidden[-1][:, None], keys, remembered)
        remembered, context = attended.state, attended.context[:, 0]
        state = model.cell(torch.cat((embedded, context), dim=1), state)
        features.append(model.vector(state.hidden[-1], context, embedded))
        hidden.append(state.hidden[-1])
        contexts.append(context)
    _assert_same(decoded, features, hidden, contexts)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("feeding", [False, True])
@pytest.mark.parametrize(
    ("attention", "score"),
    [("global", "general"), ("global", "location-aware"), ("local-m", "dot"), ("over", "dot")],
)
def test_after_attends_with_the_current_top_state(
    attention: str, score: str, feeding: bool, cell: str, reference: Callable
) -> None:
    """Luong 2015, section 3: h_t, then c_t from it, then tanh(W [c ; h]), which is fed on."""
    model, tokens, decoded = reference(attention, score, rnn_type=cell, input_feeding=feeding)
    mechanism = model.decoder.attention
    keys, state = mechanism.prepare(model.memory), model.first()
    remembered = mechanism.initial_state(keys)
    vector = torch.zeros(3, model.decoder.output_size, dtype=torch.float64)
    features, hidden, contexts = [], [], []
    for embedded in model.embedded(tokens):
        inputs = torch.cat((embedded, vector), dim=1) if feeding else embedded
        state = model.cell(inputs, state)
        attended = mechanism(state.hidden[-1][:, None], keys, remembered)
        remembered, context = attended.state, attended.context[:, 0]
        vector = model.vector(context, state.hidden[-1])
        features.append(vector)
        hidden.append(state.hidden[-1])
        contexts.append(context)
    _assert_same(decoded, features, hidden, contexts)


@pytest.mark.parametrize("cell", CELLS)
def test_fixed_reads_the_summary_at_every_step(cell: str, reference: Callable) -> None:
    """Cho 2014, section 2.2."""
    model, tokens, decoded = reference("none", "none", rnn_type=cell)
    state, summary = model.first(), model.memory.summary
    features, hidden = [], []
    for embedded in model.embedded(tokens):
        state = model.cell(torch.cat((embedded, summary), dim=1), state)
        features.append(model.vector(state.hidden[-1], summary, embedded))
        hidden.append(state.hidden[-1])
    _assert_same(decoded, features, hidden, [summary] * tokens.shape[1])


@pytest.mark.parametrize(("attention", "score"), [("soft", "concat"), ("none", "none")])
def test_maxout_reads_the_previous_state(
    attention: str, score: str, reference: Callable, make_model: Callable, make_batch: Callable
) -> None:
    """Bahdanau 2015, appendix A.2.2: t_i is the maxout of s_i-1, y_i-1 and c_i."""
    model, tokens, decoded = reference(attention, score, readout="maxout")
    before = [model.first().hidden[-1], *decoded.hidden.unbind(1)]
    embedded = list(model.embedded(tokens))
    expected = [
        model.vector(*parts)
        for parts in zip(before[:-1], decoded.contexts.unbind(1), embedded, strict=True)
    ]
    torch.testing.assert_close(decoded.features, torch.stack(expected, dim=1))
    # Residual models and single steps.
    encoder, decoder = make_model(attention, score, readout="maxout", residual=True)
    features, mask, tokens = make_batch([6, 1, 4])
    memory = encoder(features, mask)
    state, steps = decoder.start(memory), []
    for token in tokens.unbind(1):
        step, state = decoder.step(token, state)
        steps.append(step.features)
    torch.testing.assert_close(torch.cat(steps, dim=1), decoder(tokens, memory).features)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("feeding", [False, True])
def test_a_step_is_the_same(
    feeding: bool,
    cell: str,
    make_model: Callable,
    make_batch: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder, decoder = (
        make_model("global", "general", rnn_type=cell, input_feeding=True, residual=True)
        if feeding
        else make_model("soft", "concat", rnn_type=cell)
    )
    features, mask, _ = make_batch([6, 1, 4, 3, 2])
    tokens = torch.tensor([4, 2, 4, 7, 2])
    projected: list[int] = []
    whole = decoder.stack.steps

    def counted(known: torch.Tensor, *places: torch.Tensor) -> object:
        projected.append(len(known))
        return whole(known, *places)

    monkeypatch.setattr(decoder.stack, "steps", counted)

    @torch.no_grad()
    def two_steps(many: int) -> list[Decoded]:
        monkeypatch.setattr(recurrent_decoder, "MANY", many)
        first, state = decoder.step(tokens, decoder.start(encoder(features, mask)))
        return [first, decoder.step(tokens.flip(0), state)[0]]

    found, expected = two_steps(5), two_steps(6)
    assert projected == [3, 3, 5, 5]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.features, other.features)
        torch.testing.assert_close(one.hidden, other.hidden)

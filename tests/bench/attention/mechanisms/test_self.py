"""`self` against torch's own multi-head attention, and what a Transformer decoder needs of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest
import torch
from attention_pairs import normalisers_of
from torch import Tensor, nn

from bench.attention import attention as core
from bench.attention.attention import build_attention
from bench.attention.base import AttentionState, Keys, Memory, Sizes, Slot
from bench.attention.mechanisms.self import MultiHeadAttention
from bench.attention.registries import attentions, scores
from bench.errors import UsageError

SIZE, HEADS = 8, 4
Make = Callable[..., Memory]
VALID = [
    name for name in scores.names() if attentions.get("self").refusal(name, "transformer") is None
]


def build(
    score: str = "scaled-dot", memory: int = SIZE, slot: Slot = "cross", **options: str
) -> MultiHeadAttention:
    chosen = MultiHeadAttention.Options(**options)
    module = build_attention("self", Sizes(SIZE, memory, heads=HEADS, slot=slot), score, chosen)
    assert isinstance(module, MultiHeadAttention)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)  # biases too, which begin at 0
    return module.double()


def torchs(ours: MultiHeadAttention) -> nn.MultiheadAttention:
    theirs = nn.MultiheadAttention(SIZE, HEADS, batch_first=True, dtype=torch.float64)
    projections = [ours.query_projection, ours.key_projection, ours.value_projection]
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat([layer.weight for layer in projections]))
        theirs.in_proj_bias.copy_(torch.cat([layer.bias for layer in projections]))
        theirs.out_proj.weight.copy_(ours.output_projection.weight)
        theirs.out_proj.bias.copy_(ours.output_projection.bias)
    return theirs


def start(module: MultiHeadAttention, keys: Keys) -> AttentionState:
    return module.initial_state(keys)


def test_cross_attention_is_torchs(make_memory: Make) -> None:
    memory = make_memory([6, 3], SIZE)
    ours = build()
    query = torch.randn(2, 5, SIZE, dtype=torch.float64)
    keys = ours.prepare(memory)
    found = ours(query, keys, start(ours, keys))
    context, weights = torchs(ours)(
        query, memory.states, memory.states, key_padding_mask=~memory.mask
    )
    torch.testing.assert_close(found.context, context)
    torch.testing.assert_close(found.weights, weights)


def test_the_heads_are_torchs_heads(make_memory: Make) -> None:
    memory = make_memory([6, 3], SIZE)
    ours = build()
    query = torch.randn(2, 5, SIZE, dtype=torch.float64)
    keys = ours.prepare(memory)
    parts = ours(query, keys, start(ours, keys)).parts
    _, weights = torchs(ours)(
        query,
        memory.states,
        memory.states,
        key_padding_mask=~memory.mask,
        average_attn_weights=False,
    )
    assert list(parts) == [f"head {head + 1}" for head in range(HEADS)]
    torch.testing.assert_close(torch.stack(list(parts.values()), 1), weights)


@pytest.mark.parametrize("need_weights", [True, False])
def test_causal_self_attention_is_torchs(need_weights: bool) -> None:
    ours = build(slot="decoder")
    states = torch.randn(2, 5, SIZE, dtype=torch.float64)
    keys = ours.extend(None, states)
    found = ours(states, keys, AttentionState(), need_weights=need_weights)
    ahead = torch.ones(5, 5, dtype=torch.bool).triu(1)
    context, weights = torchs(ours)(states, states, states, attn_mask=ahead)
    torch.testing.assert_close(found.context, context)
    if need_weights:
        torch.testing.assert_close(found.weights, weights)
        assert (found.weights[:, ahead] == 0).all()


def test_causal_attention_over_a_padded_batch(make_memory: Make) -> None:
    """No position sees padding or what comes after it; real positions as if alone."""
    memory = make_memory([5, 2], SIZE)
    ours = build(slot="decoder")
    keys = ours.prepare(memory)
    query = memory.states
    found = ours(query, keys, start(ours, keys))
    alone = ours.extend(None, query[1:, :2])
    single = ours(query[1:, :2], alone, AttentionState())
    torch.testing.assert_close(found.context[1:, :2], single.context)
    assert (found.weights[1, :, 2:] == 0).all()


@pytest.mark.parametrize("begun_with", ["nothing", "a memory"])
@pytest.mark.parametrize("normaliser", normalisers_of("self"))
@pytest.mark.parametrize("score", VALID)
def test_decoding_with_a_cache_equals_the_causal_pass(
    score: str, normaliser: str, begun_with: str
) -> None:
    ours = build(score, slot="decoder", normaliser=normaliser)
    states = torch.randn(2, 5, SIZE, dtype=torch.float64)
    whole_keys = ours.extend(None, states)
    whole = ours(states, whole_keys, AttentionState())
    keys, state = None, AttentionState()
    for t, step in enumerate(states.split(1, dim=1)):
        if keys is None and begun_with == "a memory":
            mask = torch.ones(2, 1, dtype=torch.bool)
            keys = ours.prepare(Memory(step, mask, step[:, 0]))
        else:
            keys = ours.extend(keys, step)
        for need_weights in (True, False):
            found = ours(step, keys, state, need_weights=need_weights)
            torch.testing.assert_close(found.context[:, 0], whole.context[:, t])
        state = found.state
    assert state.position == 5


def test_a_cache_grows_by_several_positions_and_follows_its_beams() -> None:
    ours = build(slot="decoder")
    states = torch.randn(3, 6, SIZE, dtype=torch.float64)
    index = torch.tensor([2, 0])
    grown = ours.extend(ours.extend(None, states[:, :4]).select(index), states[index, 4:])
    query = torch.randn(2, 1, SIZE, dtype=torch.float64)
    once = ours.extend(None, states[index])
    found, expected = (ours(query, keys, AttentionState(5)).context for keys in (grown, once))
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("need_weights", [True, False])
def test_padding_stays_hidden_in_a_cache_that_grows(make_memory: Make, need_weights: bool) -> None:
    memory = make_memory([4, 2], SIZE)
    ours = build(slot="decoder")
    more = torch.randn(2, 3, SIZE, dtype=torch.float64)
    query = torch.randn(2, 1, SIZE, dtype=torch.float64)
    keys = ours.extend(ours.prepare(memory), more)
    found = ours(query, keys, AttentionState(6), need_weights=need_weights)
    alone = ours.extend(None, torch.cat([memory.states[1:, :2], more[1:]], 1))
    expected = ours(query[1:], alone, AttentionState(4))
    torch.testing.assert_close(found.context[1:], expected.context)


@pytest.mark.parametrize("score", VALID)
def test_the_fused_kernel_is_used_where_it_can_be(
    score: str, make_memory: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[Tensor] = []

    def counted(*args: object) -> Tensor:
        calls.append(real(*args))
        return calls[-1]

    real = core.sdpa_context
    monkeypatch.setattr(core, "sdpa_context", counted)
    memory = make_memory([6, 3], SIZE)
    query = torch.randn(2, 5, SIZE, dtype=torch.float64)
    for normaliser in normalisers_of("self"):
        calls.clear()
        ours = build(score, normaliser=normaliser)
        keys = ours.prepare(memory)
        ours(query, keys, start(ours, keys), need_weights=True)
        assert not calls
        ours(query, keys, start(ours, keys), need_weights=False)
        dot = ours.score.as_dot(query)
        expected = normaliser == "softmax" and dot is not None
        assert bool(calls) == expected


@pytest.mark.parametrize("size", [64, 128])
def test_the_fused_kernel_agrees_in_single_precision(size: int) -> None:
    states = torch.randn(2, 50, size)
    mask = torch.arange(50) < torch.tensor([[50], [31]])
    for slot in get_args(Slot):
        ours = build_attention("self", Sizes(size, size, heads=4, slot=slot))
        keys = ours.prepare(Memory(states, mask, states[:, 0]))
        both = [
            ours(states, keys, AttentionState(), need_weights=asked).context
            for asked in (True, False)
        ]
        torch.testing.assert_close(*both)


def test_values_may_differ_from_what_is_scored(make_memory: Make) -> None:
    memory = make_memory([4, 4], 6, values=torch.randn(2, 4, 6, dtype=torch.float64))
    ours = build(memory=6)
    query = torch.randn(2, 3, SIZE, dtype=torch.float64)
    keys = ours.prepare(memory)
    found = ours(query, keys, start(ours, keys))
    assert ours.context_size == SIZE
    values = ours.value_projection(memory.values)
    mixed = [
        found.parts[f"head {head + 1}"] @ values.chunk(HEADS, -1)[head] for head in range(HEADS)
    ]
    expected = ours.output_projection(torch.cat(mixed, -1))
    torch.testing.assert_close(found.context, expected)


def test_heads_must_divide_the_size() -> None:
    with pytest.raises(UsageError, match="size 8 does not split into 3 heads"):
        build_attention("self", Sizes(8, 8, heads=3))


@pytest.mark.parametrize("attention", ["soft", "global"])
def test_several_heads_of_a_recurrent_decoder_are_torchs(attention: str, make_memory: Make) -> None:
    memory = make_memory([6, 3], SIZE)
    options = attentions.get(attention).Options(heads=HEADS)
    ours = build_attention(attention, Sizes(SIZE, SIZE), "scaled-dot", options).double()
    query = torch.randn(2, 5, SIZE, dtype=torch.float64)
    keys = ours.prepare(memory)
    context, weights = torchs(ours)(
        query, memory.states, memory.states, key_padding_mask=~memory.mask
    )
    for need_weights in (True, False):
        found = ours(query, keys, ours.initial_state(keys), need_weights=need_weights)
        torch.testing.assert_close(found.context, context)
    torch.testing.assert_close(ours(query, keys, ours.initial_state(keys)).weights, weights)

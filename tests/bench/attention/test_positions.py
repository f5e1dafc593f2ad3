"""Relative positions against the papers' formulas, written out pair by pair, and against torch."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.attention import attention as core
from bench.attention.attention import build_attention
from bench.attention.base import AttentionState, Memory, Sizes, Slot
from bench.attention.mechanisms.self import MultiHeadAttention
from bench.attention.positions import (
    KINDS,
    Span,
    alibi_slopes,
    sinusoids,
    t5_bucket,
)
from bench.errors import NotApplicable

SIZE, HEADS = 12, 4
K = SIZE // HEADS
Make = Callable[..., Memory]


def build(
    kind: str, slot: Slot, score: str = "scaled-dot", **options: object
) -> MultiHeadAttention:
    chosen = MultiHeadAttention.Options(relative_positions=kind, **options)
    module = build_attention("self", Sizes(SIZE, SIZE, heads=HEADS, slot=slot), score, chosen)
    assert isinstance(module, MultiHeadAttention)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def bucket(offset: int, causal: bool) -> int:
    """Raffel 2020 for one offset, 32 buckets up to 128."""
    first, buckets = 0, 32
    if causal:
        distance = max(-offset, 0)
    else:
        buckets = 16
        first = 16 if offset > 0 else 0
        distance = abs(offset)
    exact = buckets // 2
    if distance < exact:
        return first + distance
    scale = math.log(distance / exact) / math.log(128 / exact)
    return first + min(exact + int(scale * (buckets - exact)), buckets - 1)


def turned(vector: Tensor, place: int) -> Tensor:
    """Su 2021, equation 15: the block-diagonal rotation, block by block."""
    result = vector.clone()
    even = len(vector) // 2 * 2
    for i in range(0, even, 2):
        angle = place * 10_000 ** (-i / even)
        matrix = torch.tensor(
            [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]],
            dtype=torch.float64,
        )
        result[i : i + 2] = matrix @ vector[i : i + 2]
    return result


def energy(module: MultiHeadAttention, kind: str, h: int, q: Tensor, k: Tensor, t: int, s: int):
    """The energy of one query and one key."""
    root, positions = math.sqrt(K), module.positions
    match kind:
        case "shaw":
            return q @ (k + positions.of_keys[max(-2, min(2, s - t)) + 2]) / root
        case "t5":
            return q @ k / root + positions.biases[h, bucket(s - t, module.causal)]
        case "alibi":
            return q @ k / root - 2.0 ** (-8 * (h + 1) / HEADS) * abs(s - t)
        case "rope":
            return turned(q, t) @ turned(k, s) / root
        case "transformer-xl":
            u, v = positions.content[h], positions.position[h]
            like = torch.zeros(SIZE, dtype=torch.float64)
            distance = sinusoids(t - s, 1, like)[0]
            r = positions.of_distance[h * K : (h + 1) * K] @ distance
            return ((q + u) @ k + (q + v) @ r) / root
    raise AssertionError(kind)


def by_hand(module: MultiHeadAttention, kind: str, states: Tensor) -> tuple[Tensor, Tensor]:
    """Contexts N,Q and mean weights N,N of one sequence N,D without padding."""
    N = len(states)
    layers = (module.query_projection, module.key_projection, module.value_projection)
    queries, keys, values = (layer(states).unflatten(-1, (HEADS, K)) for layer in layers)
    heads, means = torch.zeros(N, HEADS, K).double(), torch.zeros(N, N).double()
    for h in range(HEADS):
        for t in range(N):
            seen = range(t + 1 if module.causal else N)
            energies = [energy(module, kind, h, queries[t, h], keys[s, h], t, s) for s in seen]
            weights = torch.stack(energies).softmax(0)
            for s in seen:
                value = values[s, h]
                if kind == "shaw":
                    value = value + module.positions.of_values[max(-2, min(2, s - t)) + 2]
                heads[t, h] += weights[s] * value
                means[t, s] += weights[s] / HEADS
    return module.output_projection(heads.flatten(1)), means


@pytest.mark.parametrize("slot", ["encoder", "decoder"])
@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_a_kind_is_its_papers_formula(kind: str, slot: Slot, make_memory: Make) -> None:
    memory = make_memory([6, 4], SIZE)
    module = build(kind, slot, max_distance=2)
    keys = module.prepare(memory)
    for need_weights in (True, False):
        found = module(memory.states, keys, AttentionState(), need_weights=need_weights)
        for example, length in enumerate((6, 4)):
            context, weights = by_hand(module, kind, memory.states[example, :length])
            torch.testing.assert_close(found.context[example, :length], context)
            if need_weights:
                assert found.weights is not None
                torch.testing.assert_close(found.weights[example, :length, :length], weights)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_path_with_weights(kind: str) -> None:
    """Torch's kernels differ in whether a mask can have a gradient."""
    states = torch.randn(2, 5, SIZE, dtype=torch.float64)
    module = build(kind, "decoder")
    found = []
    for need_weights in (True, False):
        module.zero_grad()
        keys = module.extend(None, states)
        module(
            states, keys, AttentionState(), need_weights=need_weights
        ).context.sin().sum().backward()
        found.append({name: one.grad.clone() for name, one in module.named_parameters()})
    for name, expected in found[0].items():
        torch.testing.assert_close(found[1][name], expected, msg=name)
        assert expected.abs().max() > 0 or name == "key_projection.bias"


@pytest.mark.parametrize("kind", KINDS)
def test_decoding_with_a_cache_equals_the_causal_pass(kind: str) -> None:
    module = build(kind, "decoder", max_distance=2)
    states = torch.randn(2, 6, SIZE, dtype=torch.float64)
    whole = module(states, module.extend(None, states), AttentionState())
    keys, state = None, AttentionState()
    for t, step in enumerate(states.split(1, dim=1)):
        keys = module.extend(keys, step)
        for need_weights in (True, False):
            found = module(step, keys, state, need_weights=need_weights)
            torch.testing.assert_close(found.context[:, 0], whole.context[:, t])
        state = found.state


def test_alibi_is_torchs_attention_under_a_mask_of_floats() -> None:
    module = build("alibi", "decoder")
    theirs = nn.MultiheadAttention(SIZE, HEADS, batch_first=True, dtype=torch.float64)
    projections = [module.query_projection, module.key_projection, module.value_projection]
    theirs.in_proj_weight.data = torch.cat([one.weight.data for one in projections])
    theirs.in_proj_bias.data = torch.cat([one.bias.data for one in projections])
    theirs.out_proj.load_state_dict(module.output_projection.state_dict())
    states = torch.randn(2, 7, SIZE, dtype=torch.float64)
    places = torch.arange(7)
    distance = (places[:, None] - places).double()
    slopes = torch.tensor([1 / 4, 1 / 16, 1 / 64, 1 / 256], dtype=torch.float64)
    mask = (-slopes[:, None, None] * distance).masked_fill(distance < 0, -math.inf)
    context, weights = theirs(states, states, states, attn_mask=mask.repeat(2, 1, 1))
    found = module(states, module.extend(None, states), AttentionState())
    torch.testing.assert_close(found.context, context)
    torch.testing.assert_close(found.weights, weights)


def test_slopes_are_the_papers() -> None:
    assert alibi_slopes(8) == [2.0**-h for h in range(1, 9)]
    assert alibi_slopes(16)[:2] == [2**-0.5, 2**-1]
    assert alibi_slopes(6) == [2**-2, 2**-4, 2**-6, 2**-8, 2**-1, 2**-3]
    assert alibi_slopes(1) == [2**-8]


@pytest.mark.parametrize("causal", [True, False])
def test_buckets_are_the_papers(causal: bool) -> None:
    offsets = torch.arange(-300, 300)
    found = t5_bucket(offsets, 32, 128, causal)
    exact = [bucket(int(one), causal) for one in offsets]
    # At powers of two the logarithm falls on an edge, where float32 may round either way.
    assert sum(one != other for one, other in zip(found.tolist(), exact, strict=True)) <= 6
    assert found.min() == 0 and found.max() == 31


def test_sequences_may_be_longer_than_any_before() -> None:
    states = torch.randn(1, 400, SIZE, dtype=torch.float64)
    for kind in KINDS:
        module = build(kind, "encoder")
        keys = module.prepare(Memory(states, torch.ones(1, 400, dtype=torch.bool), states[:, 0]))
        assert module(states, keys, AttentionState()).context.isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_weights_depend_on_distances_alone(kind: str) -> None:
    """The same words, later: they attend to each other as before."""
    module = build(kind, "decoder", window=3)
    word = torch.randn(1, 1, SIZE, dtype=torch.float64).expand(1, 12, -1)
    weights = module(word, module.extend(None, word), AttentionState()).weights
    torch.testing.assert_close(weights[:, 5, 2:6], weights[:, 11, 8:12])


@pytest.mark.parametrize("kind", ["shaw", "rope", "transformer-xl"])
def test_what_works_on_products_refuses_other_scores(kind: str) -> None:
    with pytest.raises(NotApplicable, match=f"{kind} are part of an inner product"):
        build(kind, "encoder", "concat")


def test_attention_to_another_sequence_has_no_relative_positions() -> None:
    options = MultiHeadAttention.Options(relative_positions="shaw", window=1)
    plain, asked = (
        build_attention("self", Sizes(SIZE, SIZE, heads=HEADS), options=one)
        for one in (MultiHeadAttention.Options(), options)
    )
    assert asked.state_dict().keys() == plain.state_dict().keys()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not KINDS[kind].adds_context])
def test_the_fused_kernel_is_used(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Tensor] = []
    real = core.sdpa_context
    monkeypatch.setattr(core, "sdpa_context", lambda *args: calls.append(real(*args)) or calls[-1])
    states = torch.randn(1, 4, SIZE, dtype=torch.float64)
    for options in ({}, {"window": 2}):
        module = build(kind, "decoder", **options)
        module(states, module.extend(None, states), AttentionState(), need_weights=False)
    assert len(calls) == 2


def test_pairs_and_offsets_are_each_others_inverse() -> None:
    span = Span(3, 4, 6)
    offsets = span.offsets(torch.device("cpu"))
    pairs = torch.arange(6) - torch.arange(3, 7)[:, None]
    assert torch.equal(span.per_pair(offsets[None]), pairs)
    back = span.per_offset(torch.ones(4, 6, dtype=torch.int64))
    assert torch.equal(span.per_pair(back), torch.ones(4, 6, dtype=torch.int64))
    assert back.sum() == 24

"""`nystrom` against Xiong 2021 written out with loops, and against softmax attention."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bench.attention.attention import build_attention
from bench.attention.base import AttentionState, Memory, Sizes, Slot
from bench.attention.mechanisms.nystrom import (
    NystromAttention,
    NystromOptions,
    pseudoinverse,
    segments,
)
from bench.attention.registries import attentions
from bench.models import AttentionChoice, build_decoder, build_encoder
from bench.models.base import ModelConfig

SIZE, HEADS = 8, 2
K = SIZE // HEADS
Make = Callable[..., Memory]


def build(slot: Slot = "encoder", **options: int) -> NystromAttention:
    sizes = Sizes(SIZE, SIZE, heads=HEADS, slot=slot)
    module = build_attention("nystrom", sizes, options=NystromOptions(**options))
    assert isinstance(module, NystromAttention)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def by_hand(module: NystromAttention, states: Tensor) -> tuple[Tensor, Tensor]:
    """Contexts N,Q and weights N,N of one sequence N,D without padding, with an exact inverse."""
    N, m = len(states), min(module.landmarks, len(states))
    parts = [[s for s in range(N) if s * m // N == j] for j in range(m)]
    layers = (module.query_projection, module.key_projection, module.value_projection)
    queries, keys, values = (layer(states).unflatten(-1, (HEADS, K)) for layer in layers)
    contexts, weights = [], torch.zeros(N, N).double()
    for h in range(HEADS):
        q, k = queries[:, h], keys[:, h]
        few_q = torch.stack([sum(q[s] for s in part) / len(part) for part in parts])
        few_k = torch.stack([sum(k[s] for s in part) / len(part) for part in parts])
        left, middle, right = (
            (a @ b.T / math.sqrt(K)).softmax(-1)
            for a, b in ((q, few_k), (few_q, few_k), (few_q, k))
        )
        matrix = left @ torch.linalg.pinv(middle) @ right
        weights += matrix / HEADS
        contexts.append(matrix @ values[:, h])
    return module.output_projection(torch.cat(contexts, -1)), weights


@pytest.mark.parametrize("landmarks", [1, 2, 3, 9])
@torch.no_grad()
def test_it_is_the_papers(landmarks: int, make_memory: Make) -> None:
    memory = make_memory([7, 4, 1], SIZE)
    module = build(landmarks=landmarks, pinv_iterations=40)
    keys = module.prepare(memory)
    for need_weights in (True, False):
        found = module(memory.states, keys, AttentionState(), need_weights=need_weights)
        for example, length in enumerate((7, 4, 1)):
            context, weights = by_hand(module, memory.states[example, :length])
            real = found.context[example, :length]
            torch.testing.assert_close(real, context, atol=1e-6, rtol=1e-6)
            if need_weights:
                assert found.weights is not None
                of_real = found.weights[example, :length]
                torch.testing.assert_close(of_real[:, :length], weights, atol=1e-6, rtol=1e-6)
                assert (of_real[:, length:] == 0).all()


@torch.no_grad()
def test_with_a_landmark_for_every_position_it_is_softmax_attention(make_memory: Make) -> None:
    memory = make_memory([5, 3], SIZE)
    module = build(landmarks=5, pinv_iterations=40)
    exact = build_attention("self", Sizes(SIZE, SIZE, heads=HEADS, slot="encoder")).double()
    exact.load_state_dict(module.state_dict())
    found, expected = (
        one(memory.states, one.prepare(memory), AttentionState()).context for one in (module, exact)
    )
    torch.testing.assert_close(found[0], expected[0], atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(found[1, :3], expected[1, :3], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("width", [1, 3, 11])
@torch.no_grad()
def test_a_convolution_of_the_values_is_added_to_each_head(width: int, make_memory: Make) -> None:
    memory = make_memory([7, 4, 1], SIZE)
    module = build(landmarks=3, value_kernel=width)
    plain = build(landmarks=3)
    plain.load_state_dict(module.state_dict(), strict=False)
    found, without = (
        one(memory.states, one.prepare(memory), AttentionState()).context for one in (module, plain)
    )
    filters, half = module.convolution.weight[:, 0, :, 0], width // 2  # H,width
    for example, length in enumerate((7, 4, 1)):
        values = module.value_projection(memory.states[example, :length]).unflatten(-1, (HEADS, K))
        added = torch.zeros(length, HEADS, K, dtype=torch.float64)
        for s in range(length):
            for j in range(width):
                if 0 <= s + j - half < length:
                    added[s] += filters[:, j, None] * values[s + j - half]
        expected = added.flatten(1) @ module.output_projection.weight.T
        difference = found[example, :length] - without[example, :length]
        torch.testing.assert_close(difference, expected)


def test_the_convolution_has_an_odd_width_and_stands_in_the_encoder_alone() -> None:
    with pytest.raises(ValueError, match="odd width"):
        NystromOptions(value_kernel=4)
    assert build("cross", value_kernel=3).convolution is None
    assert build().convolution is None


def test_padding_and_the_rest_of_the_batch_change_nothing(make_memory: Make) -> None:
    memory = make_memory([9, 4], SIZE)
    module = build(landmarks=3)
    found = module(memory.states, module.prepare(memory), AttentionState()).context
    short = replace(
        memory.select(torch.tensor([1])), states=memory.states[1:, :4], mask=memory.mask[1:, :4]
    )
    alone = module(short.states, module.prepare(short), AttentionState()).context
    torch.testing.assert_close(found[1:, :4], alone)


def test_the_iteration_converges_to_the_pseudoinverse() -> None:
    matrix = torch.randn(3, 5, 5, dtype=torch.float64).softmax(-1) + torch.eye(5)
    near = pseudoinverse(matrix, 6)
    torch.testing.assert_close(near, torch.linalg.pinv(matrix), atol=1e-4, rtol=1e-4)


def test_segments_part_the_real_positions() -> None:
    mask = torch.arange(7) < torch.tensor([[7], [2]])
    shares = segments(mask, 3)
    third = 1 / 3
    expected = [[third, third, third, 0, 0, 0, 0], [0, 0, 0, 0.5, 0.5, 0, 0], [0] * 5 + [0.5, 0.5]]
    torch.testing.assert_close(shares[0], torch.tensor(expected))
    assert shares[1].tolist() == [[1, 0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0, 0], [0] * 7]


def test_gradients_are_finite_and_agree_with_differences(make_memory: Make) -> None:
    memory = make_memory([5, 3], SIZE)
    module = build(landmarks=2)

    def context(states: Tensor) -> Tensor:
        keys = module.prepare(replace(memory, states=states))
        real = module(states, keys, AttentionState()).context
        return real.masked_fill(~memory.mask[..., None], 0.0)

    states = memory.states.masked_fill(~memory.mask[..., None], 0.0).requires_grad_()
    assert torch.autograd.gradcheck(context, (states,), fast_mode=True)


def test_it_stands_in_the_encoder_and_plain_heads_elsewhere() -> None:
    kind = attentions.get("nystrom")
    choice = AttentionChoice(kind, "scaled-dot", NystromOptions(), "transformer")
    config = ModelConfig(embedding_dim=SIZE, hidden_dim=SIZE, num_heads=HEADS, ffn_dim=SIZE)
    encoder = build_encoder(choice, SIZE, config)
    decoder = build_decoder(choice, SIZE, 9, config)
    kinds = [type(one).__name__ for one in (*encoder.modules(), *decoder.modules())]
    assert kinds.count("NystromAttention") == 1 and kinds.count("MultiHeadAttention") == 2
    assert "takes a Transformer" in kind.refusal("scaled-dot", "recurrent")

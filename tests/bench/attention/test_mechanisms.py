"""What the smaller mechanisms add to the common core, and that the parts are as they should be."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from attention_pairs import valid_pairs
from torch import nn

from bench.attention.attention import ScoredOptions, build_attention, first_position
from bench.attention.base import AttentionState, Memory, Sizes
from bench.attention.mechanisms.multi_step import MultiStepOptions
from bench.attention.mechanisms.soft import SoftOptions

SIZE = 4
Make = Callable[..., Memory]


@pytest.mark.parametrize("name", ["soft", "global"])
@pytest.mark.parametrize("score", ["dot", "concat"])
def test_plain_attention_written_out(make_memory: Make, name: str, score: str) -> None:
    memory = make_memory([5, 2], SIZE)
    module = build_attention(name, Sizes(SIZE, SIZE), score).double()
    query = torch.randn(2, 3, SIZE, dtype=torch.float64)
    keys = module.prepare(memory)
    found = module(query, keys, module.initial_state(keys))
    for b, length in enumerate([5, 2]):
        states = memory.states[b : b + 1, :length]
        for t in range(3):
            energies = module.score(query[b : b + 1, t : t + 1], module.score.project_keys(states))
            weights = energies.exp()[0, 0, 0] / energies.exp().sum()
            torch.testing.assert_close(found.weights[b, t, :length], weights)
            expected = sum(weights[s] * states[0, s] for s in range(length))
            torch.testing.assert_close(found.context[b, t], expected)


@pytest.mark.parametrize("name", ["soft", "hard"])
def test_the_gate_scales_the_context(make_memory: Make, name: str) -> None:
    memory = make_memory([5, 2], SIZE)
    kind = type(build_attention(name, Sizes(SIZE, SIZE)))
    gated = build_attention(name, Sizes(SIZE, SIZE), options=kind.Options(gate=True))
    gated = gated.double().eval()
    plain = build_attention(name, Sizes(SIZE, SIZE)).double().eval()
    plain.load_state_dict(gated.state_dict(), strict=False)
    query = torch.randn(2, 3, SIZE, dtype=torch.float64)
    with_gate, without = (
        module(query, module.prepare(memory), AttentionState()) for module in (gated, plain)
    )
    beta = torch.sigmoid(query @ gated.gate.weight[0] + gated.gate.bias)
    torch.testing.assert_close(with_gate.context, beta[..., None] * without.context)
    torch.testing.assert_close(with_gate.weights, without.weights)


def test_the_gate_is_off_by_default() -> None:
    assert SoftOptions().gate is False
    assert build_attention("soft", Sizes(SIZE, SIZE)).gate is None


def test_multi_step_averages_values_and_scales_by_the_root_of_the_length(
    make_memory: Make,
) -> None:
    values = torch.randn(2, 5, SIZE, dtype=torch.float64)
    memory = make_memory([5, 2], SIZE, values=values)
    query = torch.randn(2, 3, SIZE, dtype=torch.float64)
    scaled = build_attention("multi-step", Sizes(SIZE, SIZE)).double()
    bare = build_attention(
        "multi-step", Sizes(SIZE, SIZE), options=MultiStepOptions(scale_context=False)
    )
    found, plain = (
        module(query, module.prepare(memory), AttentionState()) for module in (scaled, bare)
    )
    torch.testing.assert_close(plain.context, plain.weights @ values)
    for b, m in enumerate([5, 2]):
        torch.testing.assert_close(found.context[b], plain.context[b] * m * (1 / m) ** 0.5)


def test_the_control_sees_the_summary_only(make_memory: Make) -> None:
    memory = make_memory([5, 2], SIZE)
    module = build_attention("none", Sizes(SIZE, SIZE))
    found = module(torch.randn(2, 3, SIZE), module.prepare(memory), AttentionState(4))
    assert found.weights is None and found.state.position == 7
    for t in range(3):
        torch.testing.assert_close(found.context[:, t], memory.summary)
    assert not list(module.parameters())


@pytest.mark.parametrize("name", ["soft", "global", "hard", "hierarchical", "local-m"])
def test_location_aware_reads_the_weights_of_the_step_before(make_memory: Make, name: str) -> None:
    memory = make_memory([5, 2], SIZE)
    module = build_attention(name, Sizes(SIZE, SIZE), "location-aware").double().eval()
    query = torch.randn(2, 2, SIZE, dtype=torch.float64)
    keys = module.prepare(memory)
    state = module.initial_state(keys)
    torch.testing.assert_close(
        state.tensors["previous"][:, 0], torch.eye(1, 5, dtype=torch.float64).expand(2, 5)
    )
    first = module(query[:, :1], keys, state)
    torch.testing.assert_close(first.state.tensors["previous"], first.weights)
    moved = {**first.state.tensors, "previous": first.state.tensors["previous"].flip(-1)}
    second = module(query[:, 1:], keys, first.state)
    other = module(query[:, 1:], keys, AttentionState(1, moved))
    if name != "hard":  # whose arg max may well stay where it is
        assert (second.weights - other.weights).abs().max() > 1e-6


def test_without_a_step_before_all_weight_is_on_the_first_real_position() -> None:
    mask = torch.tensor([[True, True, False], [False, True, True]])
    expected = torch.tensor([[[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]]])
    torch.testing.assert_close(first_position(mask, torch.float32), expected)


def test_nan_in_padding_reaches_neither_context_nor_gradients(make_memory: Make) -> None:
    clean = make_memory([5, 2], SIZE)
    padding = ~clean.mask[..., None]
    for attention, score, reason in valid_pairs():
        if reason is None:
            states = clean.states.masked_fill(padding, float("nan")).requires_grad_()
            module = build_attention(attention, Sizes(SIZE, SIZE), score).double().eval()
            keys = module.prepare(Memory(states, clean.mask, clean.summary))
            query = torch.randn(2, 3, SIZE, dtype=torch.float64, requires_grad=True)
            context = module(query, keys, module.initial_state(keys)).context
            assert torch.isfinite(context).all(), (attention, score)
            if context.requires_grad:
                inputs = [states, query, *module.parameters()]
                found = torch.autograd.grad(context.sum(), inputs, allow_unused=True)
                for gradient in found:
                    assert gradient is None or torch.isfinite(gradient).all(), (attention, score)


def test_the_additive_scores_size_can_be_set() -> None:
    small, plain = (
        build_attention("soft", Sizes(SIZE, SIZE), "concat", SoftOptions(attention_size=size))
        for size in (2, None)
    )
    assert small.score.vector.shape == (1, 2) and plain.score.vector.shape == (1, SIZE)


def test_an_even_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="odd width"):
        ScoredOptions(location_kernel=4)


def test_parameters_of_the_parts() -> None:
    """Counts written out, so that nothing unused or doubled slips in."""

    def count(name: str, score: str) -> int:
        module: nn.Module = build_attention(name, Sizes(6, 4, axes=2), score)
        return sum(parameter.numel() for parameter in module.parameters())

    assert count("global", "general") == 4 * 6
    assert count("global", "concat") == 4 * 6 + 4 * 4 + 4 + 4
    assert count("global", "location-aware") == count("global", "concat") + 10 * 15 + 10 * 4
    assert count("local-m", "general") == 4 * 6
    assert count("local-p", "general") == 4 * 6 + 6 * 6 + 2 * 6
    assert count("hierarchical", "general") == 2 * 4 * 6
    assert count("self", "scaled-dot") == 2 * (6 * 6 + 6) + 2 * (6 * 4 + 6)


def test_every_tensor_is_saved_once() -> None:
    """Checkpoints are safetensors, which refuse tensors that share memory."""
    for attention, score, reason in valid_pairs():
        if reason is None:
            saved = build_attention(attention, Sizes(SIZE, SIZE), score).state_dict().values()
            assert len({tensor.data_ptr() for tensor in saved}) == len(saved), (attention, score)

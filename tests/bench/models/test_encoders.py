"""Encoders: what they compute, and that neither padding nor the batch reaches a result."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from bench.attention.base import Memory
from bench.errors import UsageError
from bench.models.base import Encoder, ModelConfig
from bench.models.recurrent import RecurrentEncoder

FAMILIES = [
    pytest.param("global", {"rnn_type": "gru"}, id="gru"),
    pytest.param("global", {"rnn_type": "lstm"}, id="lstm"),
    pytest.param("global", {"bidirectional": False}, id="one way"),
    pytest.param("self", {}, id="transformer"),
    pytest.param("multi-step", {}, id="convolutional"),
    pytest.param("multi-step", {"kernel_size": 4}, id="even kernel"),
]


def _assert_same(memory: Memory, other: Memory) -> None:
    """The same on the real positions of the narrower one."""
    size = memory.mask.shape[1]
    torch.testing.assert_close(other.summary, memory.summary)
    torch.testing.assert_close(other.states[:, :size], memory.states)
    if memory.values is not None:
        assert other.values is not None
        torch.testing.assert_close(other.values[:, :size], memory.values)


@pytest.mark.parametrize(("attention", "changed"), FAMILIES)
def test_padding_changes_nothing(
    attention: str, changed: dict, make_model: Callable, make_batch: Callable, repad: Callable
) -> None:
    encoder, _ = make_model(attention, "dot", **changed)
    features, mask, _ = make_batch([6, 1, 4])
    _assert_same(encoder(features, mask), encoder(*repad(features, mask, 3)))


@pytest.mark.parametrize(("attention", "changed"), FAMILIES)
def test_an_example_does_not_depend_on_its_batch(
    attention: str, changed: dict, make_model: Callable, make_batch: Callable, row_of: Callable
) -> None:
    encoder, _ = make_model(attention, "dot", **changed)
    lengths = [6, 1, 4]
    features, mask, _ = make_batch(lengths)
    memory = encoder(features, mask)
    for row, length in enumerate(lengths):
        alone = encoder(features[row : row + 1, :length], mask[row : row + 1, :length])
        _assert_same(alone, row_of(memory, row))


@pytest.mark.parametrize(("attention", "changed"), FAMILIES)
def test_padding_is_zero_and_gets_no_gradient(
    attention: str, changed: dict, make_model: Callable, make_batch: Callable
) -> None:
    encoder, _ = make_model(attention, "dot", **changed)
    features, mask, _ = make_batch([5, 2])
    features.requires_grad_()
    memory = encoder(features, mask)
    assert not memory.states[~mask].any()
    assert memory.values is None or not memory.values[~mask].any()
    (gradient,) = torch.autograd.grad(memory.states.square().sum() + memory.summary.sum(), features)
    assert not gradient[~mask].any()
    assert gradient[mask].abs().sum(dim=1).all()


@pytest.mark.parametrize(("attention", "changed"), FAMILIES)
def test_sizes_and_segments_arrive_in_the_memory(
    attention: str, changed: dict, make_model: Callable, make_batch: Callable
) -> None:
    encoder, _ = make_model(attention, "dot", **changed)
    features, mask, _ = make_batch([5, 2])
    segments = torch.tensor([[0, 0, 1, 1, 2], [0, 1, 0, 0, 0]])
    memory = encoder(features, mask, segments)
    assert memory.segments is segments
    assert memory.mask is mask
    assert memory.states.shape == (2, 5, encoder.output_size)
    assert memory.summary.shape == (2, encoder.output_size)


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("layers", [1, 2])
def test_both_directions_equal_the_packed_bidirectional_module(
    cell: str, layers: int, sizes: ModelConfig, make_batch: Callable
) -> None:
    lengths = [6, 1, 4]
    features, mask, _ = make_batch(lengths)
    chosen = replace(sizes, rnn_type=cell, encoder_layers=layers)
    encoder = RecurrentEncoder(features.shape[2], chosen).double().eval()
    reference = _reference(encoder, cell, features.shape[2], sizes.hidden_dim, layers)
    packed = nn.utils.rnn.pack_padded_sequence(
        features, torch.tensor(lengths), batch_first=True, enforce_sorted=False
    )
    outputs, last = reference(packed)
    states, _ = nn.utils.rnn.pad_packed_sequence(outputs, batch_first=True)
    hidden = last[0] if cell == "lstm" else last  # 2L,B,H/2: forward, backward of each layer

    memory = encoder(features, mask)
    torch.testing.assert_close(memory.states, states)
    torch.testing.assert_close(memory.summary, torch.cat((hidden[-2], hidden[-1]), dim=1))


def _reference(
    encoder: RecurrentEncoder, cell: str, size: int, hidden: int, layers: int
) -> nn.Module:
    kind = nn.LSTM if cell == "lstm" else nn.GRU
    module = kind(size, hidden // 2, layers, batch_first=True, bidirectional=True).double()
    for layer in range(layers):
        for directions, suffix in ((encoder.forwards, ""), (encoder.backwards, "_reverse")):
            for name, parameter in directions[layer].named_parameters():
                target = getattr(module, name.replace("_l0", f"_l{layer}{suffix}"))
                target.data.copy_(parameter.data)
    return module


def test_an_odd_size_does_not_split_into_two_directions(sizes: ModelConfig) -> None:
    with pytest.raises(UsageError, match=r"hidden_dim=7 .* even size"):
        RecurrentEncoder(4, replace(sizes, hidden_dim=7))
    assert RecurrentEncoder(4, replace(sizes, hidden_dim=7, bidirectional=False)).output_size == 7


def test_the_transformer_knows_positions(make_model: Callable, make_batch: Callable) -> None:
    encoder, _ = make_model("self", "scaled-dot")
    features, mask, _ = make_batch([4])
    turned = encoder(features.flip(1), mask).states.flip(1)
    assert not torch.allclose(turned, encoder(features, mask).states, atol=1e-3)


def test_convolutional_values_are_states_plus_embeddings(
    make_model: Callable, make_batch: Callable
) -> None:
    encoder, _ = make_model("multi-step", "dot")
    features, mask, _ = make_batch([4, 2])
    memory = encoder(features, mask)
    embedded = encoder.enter(features) + encoder.positions(0, 4)
    expected = torch.where(mask[..., None], embedded, 0.0)
    torch.testing.assert_close(memory.values - memory.states, expected)


def test_the_gradient_through_z_is_shared_by_the_attending_layers(
    make_model: Callable, make_batch: Callable
) -> None:
    features, mask, _ = make_batch([4, 2])
    alone, _ = make_model("multi-step", "dot", decoder_layers=3, attention_layers=(2,))
    shared, _ = make_model("multi-step", "dot", decoder_layers=3)
    shared.load_state_dict(alone.state_dict())

    def gradients(encoder: Encoder) -> tuple[Tensor, ...]:
        loss = encoder(features, mask).states.square().sum()
        return torch.autograd.grad(loss, list(encoder.layers.parameters()))

    for third, whole in zip(gradients(shared), gradients(alone), strict=True):
        torch.testing.assert_close(third * 3, whole)

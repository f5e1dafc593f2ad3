"""The convolutional model against the equations of Gehring 2017, position by position."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn


def _gated(layer: nn.Module, window: Tensor) -> Tensor:
    """v([a ; b]) = a * sigmoid(b) of one window kernel,H (section 3.2)."""
    convolution = layer.convolution
    flat = torch.einsum("kh,ohk->o", window, convolution.weight) + convolution.bias
    a, b = flat.chunk(2)
    return a * torch.sigmoid(b)


def _layer(layer: nn.Module, states: Tensor, before: int) -> Tensor:
    """One convolution over N,H, zeros on both sides, `before` of them to the left."""
    kernel = layer.convolution.kernel_size[0]
    zeros = states.new_zeros(kernel, states.shape[1])
    wide = torch.cat((zeros[:before], states, zeros))
    return torch.stack([_gated(layer, wide[i : i + kernel]) for i in range(len(states))])


@pytest.mark.parametrize("kernel", [3, 4])
def test_encoder_and_decoder_by_hand(
    kernel: int, make_model: Callable, make_batch: Callable
) -> None:
    encoder, decoder = make_model("multi-step", "dot", kernel_size=kernel, decoder_layers=3)
    features, mask, tokens = make_batch([5])
    memory = encoder(features, mask)

    e = encoder.enter(features[0]) + encoder.positions.table.weight[:5]
    h = encoder.widen(e)
    for layer in encoder.layers:
        h = (_layer(layer, h, (kernel - 1) // 2) + h) * 0.5**0.5
    z = encoder.narrow(h)
    torch.testing.assert_close(memory.states[0], z)
    torch.testing.assert_close(memory.values[0], z + e)
    torch.testing.assert_close(memory.summary[0], (z + e).mean(dim=0))

    g = decoder.embedding(tokens[0]) + decoder.positions.table.weight[:6]
    h = decoder.widen(g)
    for layer, attend in zip(decoder.layers, decoder.attend, strict=True):
        gated = _layer(layer, h, kernel - 1)
        d = (attend.query(gated) + g) * 0.5**0.5
        c = torch.softmax(d @ z.t(), dim=1) @ (z + e) * 5**0.5
        gated = (gated + attend.context(c)) * 0.5**0.5
        h = (gated + h) * 0.5**0.5
    decoded = decoder(tokens, memory)
    torch.testing.assert_close(decoded.contexts[0], c)
    torch.testing.assert_close(decoded.hidden[0], h)
    torch.testing.assert_close(decoded.features[0], decoder.narrow(h))

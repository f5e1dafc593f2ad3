"""Counted multiply-accumulates against formulas written out."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from bench.macs import _cudnn_rnn, count_macs


def test_products_and_convolutions() -> None:
    inputs = torch.randn(3, 5, 8)
    assert count_macs(lambda: nn.Linear(8, 4)(inputs)) == 3 * 5 * 8 * 4
    assert count_macs(lambda: inputs @ inputs.transpose(1, 2)) == 3 * 5 * 5 * 8
    convolution = nn.Conv1d(8, 6, kernel_size=3, padding=1)
    assert count_macs(lambda: convolution(inputs.transpose(1, 2))) == 3 * 5 * 3 * 8 * 6
    assert count_macs(lambda: inputs.tanh().exp().sum()) == 0


def test_fused_attention_counts_as_the_products_it_stands_for() -> None:
    queries, keys = torch.randn(2, 4, 7, 16), torch.randn(2, 4, 9, 16)
    attend = nn.functional.scaled_dot_product_attention
    assert count_macs(lambda: attend(queries, keys, keys)) == 2 * (2 * 4 * 7 * 9 * 16)


@pytest.mark.parametrize(("kind", "gates"), [(nn.GRU, 3), (nn.LSTM, 4)])
@pytest.mark.parametrize("inference", [True, False])
def test_recurrent_layers_that_read_a_sequence_at_once(kind, gates, inference) -> None:
    layer, inputs = kind(8, 6, batch_first=True, bidirectional=True), torch.randn(3, 5, 8)
    with torch.inference_mode(inference):
        found = count_macs(lambda: layer(inputs))
    assert found == 2 * 3 * 5 * gates * 6 * (8 + 6)


def test_the_formula_for_cudnn() -> None:
    """Two directions of a layer; biases are no products."""
    weights = [(18, 8), (18, 6), (18,), (18,)] * 2
    assert _cudnn_rnn((3, 5, 8), weights, 4, None) == 2 * 2 * 3 * 5 * 18 * (8 + 6)

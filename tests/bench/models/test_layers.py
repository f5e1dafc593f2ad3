"""Dropout by 16 bits an element."""

from __future__ import annotations

import pytest
import torch

from bench.models.layers import dropout


@pytest.mark.parametrize("probability", [0.1, 0.25, 0.5, 0.9])
def test_the_share_of_zeros_and_the_mean(probability: float) -> None:
    ones = torch.ones(401, 499)  # not a multiple of four
    dropped = dropout(ones, probability, True)
    count = ones.numel()
    deviation = (probability * (1 - probability) / count) ** 0.5
    assert abs(float((dropped == 0).float().mean()) - probability) < 5 * deviation
    assert float(dropped.max()) == pytest.approx(1 / (1 - probability), rel=1e-4)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=5 * deviation / (1 - probability))


def test_neighbours_are_dropped_independently() -> None:
    zero = (dropout(torch.ones(400_000), 0.5, True) == 0).double() - 0.5
    for distance in (1, 2, 3, 4, 8):
        covariance = float((zero[:-distance] * zero[distance:]).mean())
        assert abs(covariance) < 5 * 0.25 / 400_000**0.5


def test_it_rests_in_evaluation_and_at_zero_and_takes_all_at_one() -> None:
    tensor = torch.randn(5, 3)
    assert dropout(tensor, 0.5, False) is tensor
    assert dropout(tensor, 0.0, True) is tensor
    assert not dropout(tensor, 1.0, True).any()
    assert dropout(torch.ones(0, 3), 0.5, True).shape == (0, 3)


def test_a_seed_fixes_the_outcome() -> None:
    tensor = torch.randn(50)
    torch.manual_seed(5)
    first, second = dropout(tensor, 0.5, True), dropout(tensor, 0.5, True)
    torch.manual_seed(5)
    assert torch.equal(dropout(tensor, 0.5, True), first)
    assert not torch.equal(second, first)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_gradient_takes_the_way_the_values_took(dtype: torch.dtype) -> None:
    tensor = torch.ones(7, 9, dtype=dtype, requires_grad=True)
    dropped = dropout(tensor, 0.5, True)
    assert dropped.dtype == dtype
    (gradient,) = torch.autograd.grad(dropped.sum(), tensor)
    assert torch.equal(gradient, dropped.detach())

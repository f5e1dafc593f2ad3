"""The quicker tanh against PyTorch's."""

from __future__ import annotations

import pytest
import torch

from bench.models import tanh as module
from bench.models.tanh import tanh, tanh_

NUMBERS = torch.tensor([0.0, 1e-9, -1e-3, 0.5, -0.5, 3.0, -20.0, 1e4, -1e4, torch.inf, torch.nan])


@pytest.fixture(params=[0, module.FROM], autouse=True)
def _sizes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FROM", request.param)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values(dtype: torch.dtype) -> None:
    given, eps = NUMBERS.to(dtype), torch.finfo(dtype).eps
    expected = given.tanh()
    with torch.no_grad():
        found = tanh(given)
    assert torch.equal(given.nan_to_num(), NUMBERS.to(dtype).nan_to_num())  # left alone
    torch.testing.assert_close(found, expected, rtol=0, atol=2 * eps, equal_nan=True)
    assert tanh_(given) is given
    torch.testing.assert_close(given, found, rtol=0, atol=0, equal_nan=True)


def test_half_precision_is_pytorch_s() -> None:
    given = NUMBERS.bfloat16()
    with torch.no_grad():
        torch.testing.assert_close(tanh(given), given.tanh(), rtol=0, atol=0, equal_nan=True)


def test_with_gradients_it_is_pytorch_s() -> None:
    given = NUMBERS.clone().requires_grad_()
    found = tanh(given)
    assert torch.equal(found.nan_to_num(), given.tanh().nan_to_num())
    (gradient,) = torch.autograd.grad(found.sum(), given)
    torch.testing.assert_close(gradient, 1 - NUMBERS.tanh().square(), equal_nan=True)

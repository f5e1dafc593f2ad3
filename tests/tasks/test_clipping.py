"""Gradients are clipped as PyTorch clips them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tasks.settings import Settings
from tasks.training.module import TrainingModule


class _Module(TrainingModule):
    def __init__(self) -> None:
        super().__init__(Settings())
        self.first, self.second = nn.Parameter(torch.zeros(3)), nn.Parameter(torch.zeros(2, 2))
        self.unused = nn.Parameter(torch.zeros(2))

    def training_loss(self, batch: Any) -> Tensor:
        raise NotImplementedError

    def validation_sums(self, batch: Any) -> Tensor:
        raise NotImplementedError

    def count_units(self, batch: Any) -> int:
        raise NotImplementedError


@pytest.mark.parametrize("limit", [0.5, 5.0, None])
@pytest.mark.parametrize("entry", [1.0, math.nan])
def test_the_norm_is_that_of_all_gradients(entry: float, limit: float | None) -> None:
    module = _Module()
    parameters = [module.first, module.second]
    for parameter in parameters:
        parameter.grad = torch.full_like(parameter, entry)  # of norm sqrt(7), or none
    module.configure_gradient_clipping(torch.optim.SGD(module.parameters(), 0.1), limit)
    expected = torch.full((7,), entry) * (0.5 / math.sqrt(7) if limit == 0.5 else 1.0)
    found = torch.cat([parameter.grad.flatten() for parameter in parameters])
    torch.testing.assert_close(found, expected, equal_nan=True)
    assert module.unused.grad is None

"""Sigmoid attention against its formula."""

from __future__ import annotations

import math

import pytest
import torch

from bench.attention.registries import normalisers


def test_every_position_has_a_sigmoid_of_its_own() -> None:
    scores = torch.randn(3, 5, dtype=torch.float64)
    mask = torch.arange(5) < torch.tensor([[5], [3], [1]])
    weights = normalisers.get("sigmoid")(scores, mask)
    for row, n in enumerate((5, 3, 1)):
        for s in range(5):
            e = scores[row, s].item() - math.log(n)
            expected = 1 / (1 + math.exp(-e)) if s < n else 0.0
            assert weights[row, s].item() == pytest.approx(expected, abs=1e-12)

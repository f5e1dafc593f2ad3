"""Padding of memories."""

from __future__ import annotations

import pytest
import torch

from bench.attention import base as memory
from bench.attention.base import lengths_to_mask, zero_padding


@pytest.mark.parametrize("look_from", [0, memory.CHECK_MASK_FROM])
@pytest.mark.parametrize("lengths", [[4, 1, 2], [4, 4, 4]])
def test_padding_becomes_zero_and_the_rest_stays(
    lengths: list[int], look_from: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "CHECK_MASK_FROM", look_from)
    mask = lengths_to_mask(torch.tensor(lengths), 4)
    states = torch.randn(3, 4, 2, requires_grad=True)
    spoilt = torch.where(mask[:, :, None], states, float("nan"))
    found = zero_padding(spoilt, mask)
    assert torch.equal(found, torch.where(mask[:, :, None], states, 0.0))
    (gradient,) = torch.autograd.grad(found.sum(), states)
    assert torch.equal(gradient, mask[:, :, None].expand_as(states).float())

"""The loss over a vocabulary on a CUDA device, against the same on the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from bench.models import losses as module
from bench.models.losses import vocabulary_loss

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]


@pytest.mark.parametrize("pieces", [1, 7])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_gpu_gives_what_the_cpu_gives(
    smoothing: float, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LIMIT", 50 * 203 // pieces)
    monkeypatch.setattr(module, "GPU_LIMIT", 50 * 203 // pieces)
    torch.manual_seed(1)
    drawn = [torch.randn(size, dtype=torch.float64) for size in ((50, 16), (203, 16), (203,))]
    labels = torch.randint(0, 203, (50,))

    def found(device: str) -> list[Tensor]:
        given = [one.to(device).detach().requires_grad_() for one in drawn]
        result = vocabulary_loss(*given, labels.to(device), smoothing=smoothing)
        gradients = torch.autograd.grad(result.loss, given)
        return [one.cpu() for one in (result.loss, result.nll, result.right, *gradients)]

    for one, other in zip(found("cuda"), found("cpu"), strict=True):
        torch.testing.assert_close(one, other)

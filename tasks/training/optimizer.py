"""The optimiser and its schedule, the same for every task."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

from tasks.settings import Settings

BETAS = (0.9, 0.98)


def optimiser_and_schedule(
    parameters: Iterable[nn.Parameter], settings: Settings
) -> dict[str, Any]:
    """AdamW with a per-step schedule, in the form Lightning takes.

    Vectors (biases, norms) are not decayed. The fused kernel serves CPU and CUDA alike.
    """
    learning = [p for p in parameters if p.requires_grad]
    matrices = [p for p in learning if p.dim() > 1]
    vectors = [p for p in learning if p.dim() <= 1]
    optimiser = torch.optim.AdamW(
        [
            {"params": matrices, "weight_decay": settings.weight_decay},
            {"params": vectors, "weight_decay": 0.0},
        ],
        lr=settings.learning_rate,
        betas=BETAS,
        eps=1e-8,
        fused=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, rate(settings))
    return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def rate(settings: Settings) -> Callable[[int], float]:
    """Share of the peak learning rate at a step counted from 0: linear warm-up, then the fall."""
    warmup = max(1, round(settings.warmup * settings.steps))
    rest = max(1, settings.steps - warmup)

    def at(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        done = min(1.0, (step - warmup) / rest)
        if settings.schedule == "linear":
            return 1.0 - done
        if settings.schedule == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * done))
        if settings.schedule == "inverse-sqrt":
            return math.sqrt(warmup / (step + 1))
        return 1.0

    return at

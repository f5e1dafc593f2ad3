"""The Euclidean projection onto the simplex."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.attention.base import Normaliser, masked
from bench.attention.registries import normalisers


class Sparsemax(Normaliser):
    """[z - tau]_+ with tau such that the weights sum to 1 (Martins and Astudillo 2016)."""

    summary = "projection onto the simplex; most weights are exactly 0"
    citation = "Martins 2016"

    def __call__(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        weights: Tensor = _Sparsemax.apply(masked(scores, mask))
        return weights.to(scores.dtype)


class _Sparsemax(torch.autograd.Function):
    """Algorithm 1 of the paper, and equation 14 for the way back."""

    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        # Weights do not change when a constant is added. tau is at least max - 1, so what lies
        # lower may as well be -2: neither -inf nor large numbers enter the sums.
        z = (scores - scores.amax(-1, keepdim=True)).clamp_(min=-2.0)
        ordered = z.sort(-1, descending=True).values
        rank = torch.arange(1, z.shape[-1] + 1, device=z.device, dtype=z.dtype)
        excess = ordered.cumsum(-1) - 1
        # At least 1, also for rows that are NaN: the row then is NaN, and no index out of bounds.
        support = (rank * ordered > excess).sum(-1, keepdim=True).clamp_(min=1)
        tau = excess.gather(-1, support - 1) / support
        weights = (z - tau).clamp_(min=0.0)
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (weights,) = ctx.saved_tensors
        support = weights > 0
        mean = (gradient * support).sum(-1, keepdim=True) / support.sum(-1, keepdim=True)
        return torch.where(support, gradient - mean, 0.0)


normalisers.register("sparsemax")(Sparsemax())

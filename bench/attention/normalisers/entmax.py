"""Between softmax and sparsemax."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.attention.base import Normaliser, masked
from bench.attention.registries import normalisers


class Entmax(Normaliser):
    """alpha-entmax with alpha = 1.5: [z/2 - tau]_+ squared (Peters 2019, algorithm 2)."""

    summary = "1.5-entmax, between softmax and sparsemax; weights can be exactly 0"
    citation = "Peters 2019"

    def __call__(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        weights: Tensor = _Entmax15.apply(masked(scores, mask))
        return weights.to(scores.dtype)


class _Entmax15(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor) -> Tensor:
        # As in sparsemax: tau is at least max - 1, what lies lower does not matter.
        z = ((scores - scores.amax(-1, keepdim=True)) / 2).clamp_(min=-2.0)
        ordered = z.sort(-1, descending=True).values
        rank = torch.arange(1, z.shape[-1] + 1, device=z.device, dtype=z.dtype)
        mean = ordered.cumsum(-1) / rank
        spread = (ordered.square().cumsum(-1) - rank * mean.square()) / rank
        thresholds = mean - (1 / rank - spread).clamp_(min=0.0).sqrt()
        # At least 1, also for rows that are NaN: the row then is NaN, and no index out of bounds.
        support = (thresholds <= ordered).sum(-1, keepdim=True).clamp_(min=1)
        weights = (z - thresholds.gather(-1, support - 1)).clamp_(min=0.0).square_()
        # Cancellation in `spread` costs digits over long rows; the rest is put right here.
        weights /= weights.sum(-1, keepdim=True)
        ctx.save_for_backward(weights)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        # Peters 2019, proposition 2: the Jacobian is diag(r) - r r' / sum r with r = sqrt(p).
        (weights,) = ctx.saved_tensors
        root = weights.sqrt()
        mean = (gradient * root).sum(-1, keepdim=True) / root.sum(-1, keepdim=True)
        return root * (gradient - mean)


normalisers.register("entmax")(Entmax())

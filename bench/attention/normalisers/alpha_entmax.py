"""Entmax with a learned alpha per head."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bench.attention.base import AttentionOptions, Normaliser, masked
from bench.attention.registries import normalisers

#: Least alpha - 1: there alpha-entmax is a softmax in all but name, and its powers are still safe.
LEAST = 0.01


class AlphaEntmax(nn.Module, Normaliser):
    """alpha-entmax: p = [(alpha - 1) z - tau]_+^(1/(alpha - 1)) with tau such that p sums to 1.

    alpha = 1 + sigmoid(a) lies between softmax (1) and sparsemax (2); every head learns its own a
    (Correia 2019, section 3.2), from alpha = 1.5. tau is found by bisection; gradients are those of
    Peters 2019, proposition 2, and, with respect to alpha, of Correia 2019, proposition 1.
    """

    summary = "entmax between softmax and sparsemax; every head learns where"
    citation = "Correia 2019"

    def __init__(self, heads: int = 1) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.zeros(heads))

    def for_heads(self, heads: int, options: AttentionOptions | None = None) -> Normaliser:
        return AlphaEntmax(heads)

    @property
    def alpha(self) -> Tensor:
        """alpha of every head, H."""
        return 1 + torch.sigmoid(self.a).clamp_min(LEAST)

    def forward(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        energies = masked(scores, mask)
        beta = torch.sigmoid(self.a.to(energies.dtype)).clamp_min(LEAST)  # H, alpha - 1
        if len(beta) > 1:
            beta = beta.view(-1, *[1] * (energies.dim() - 2))  # H,1,...,1
        weights: Tensor = _AlphaEntmax.apply(energies, beta)
        return weights.to(scores.dtype)


class _AlphaEntmax(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, scores: Tensor, beta: Tensor) -> Tensor:
        # Weights do not change when a constant is added. tau is at least max - 1 and at most
        # max - n^-beta; what lies lower than max - 1 gets nothing.
        z = ((scores - scores.amax(-1, keepdim=True)) * beta).clamp_(min=-2.0)
        low = torch.full_like(z[..., :1], -1.0)
        step = 1 - float(z.shape[-1]) ** -beta
        power = 1 / beta
        for _ in range(torch.finfo(z.dtype).bits * 7 // 8):
            step = step / 2
            tau = low + step
            low = torch.where(
                (z - tau).clamp_(min=0).pow(power).sum(-1, keepdim=True) >= 1, tau, low
            )
        weights = (z - low).clamp_(min=0).pow(power)
        weights = weights / weights.sum(-1, keepdim=True)
        ctx.save_for_backward(weights, beta)
        return weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        weights, beta = ctx.saved_tensors
        inside = weights > 0
        root = torch.where(inside, weights, 1.0).pow(1 - beta) * inside  # p^(2 - alpha)
        share = root / root.sum(-1, keepdim=True)
        of_scores = root * (gradient - (gradient * share).sum(-1, keepdim=True))
        entropy = -torch.xlogy(weights, weights)
        slope = (weights - share) / beta**2
        slope = slope + (entropy - share * entropy.sum(-1, keepdim=True)) / beta
        return of_scores, (gradient * slope).sum_to_size(_as_wide(beta, gradient)).view_as(beta)


def _as_wide(beta: Tensor, like: Tensor) -> tuple[int, ...]:
    """The shape of `beta` with as many dimensions as `like`."""
    return (*[1] * (like.dim() - beta.dim()), *beta.shape)


normalisers.register("alpha-entmax")(AlphaEntmax())

"""The penalty on source positions that are attended to more or less than others (Xu 2015)."""

from __future__ import annotations

from torch import Tensor

from bench.attention.base import AttentionOptions


def penalty_weight(options: AttentionOptions) -> float:
    """Its weight in the loss, 0 for mechanisms without the option."""
    weight: float = getattr(options, "doubly_stochastic", 0.0)
    return weight


def doubly_stochastic_penalty(weights: Tensor, real: Tensor, source_mask: Tensor) -> Tensor:
    """Xu 2015, section 4.2.1: every source position should get about the same attention in all.

    The paper has sum over t = 1 for captions as long as the grid is large; what is asked for here
    is the even share T/S. Mean over examples of the sum over positions.

    Args:
        weights: B,T,S.
        real: B,T target positions that count.
        source_mask: B,S.
    """
    total = (weights * real[..., None]).sum(dim=1)  # B,S
    share = real.sum(dim=1, keepdim=True) / source_mask.sum(dim=1, keepdim=True)  # B,1
    return ((share - total).square() * source_mask).sum(dim=1).mean()

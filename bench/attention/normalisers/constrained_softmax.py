"""A softmax under fertilities: no position gets more weight, over all steps, than it may."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Self

import torch
from torch import Tensor

from bench.attention.base import AttentionOptions, StepwiseNormaliser, masked
from bench.attention.registries import normalisers


class Constrained(StepwiseNormaliser):
    """Base of the normalisers under fertilities (Malaviya 2018, section 3).

    Every position may get a total weight of `fertility` (an option of the mechanism, the paper's
    constant f). The state holds what is left of it, B,H,S, the upper bound u of the next weights.
    The paper appends a sink without bound, so that there always is a distribution under the bounds;
    here the last position that a query may look at (the end symbol of a text) has no bound.
    """

    citation = "Malaviya 2018"

    def __init__(self, fertility: float = 2.0) -> None:
        self.fertility = fertility

    def for_heads(self, heads: int, options: AttentionOptions | None = None) -> Self:
        return type(self)(getattr(options, "fertility", self.fertility))

    def initial_tensors(self, mask: Tensor, heads: int) -> Mapping[str, Tensor]:
        B, S = mask.shape
        full = torch.full((B, heads, S), self.fertility, device=mask.device)
        return {"fertility": full}  # B,H,S

    def __call__(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        return self._weights(scores, mask, torch.full_like(scores, self.fertility))

    def step(
        self, scores: Tensor, mask: Tensor | None, tensors: Mapping[str, Tensor]
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        left = tensors["fertility"][:, :, None]  # B,H,1,S
        weights = self._weights(scores, mask, left)
        return weights, {"fertility": (left - weights).clamp_min(0.0)[:, :, 0]}

    def _weights(self, scores: Tensor, mask: Tensor | None, bounds: Tensor) -> Tensor:
        energies = masked(scores, mask)
        real = torch.ones_like(scores, dtype=torch.bool) if mask is None else mask
        ahead = real.flip(-1).long().cumsum(-1).flip(-1)  # real positions from each on
        bounds = bounds.to(energies.dtype).masked_fill(real & (ahead == 1), float("inf"))
        return self.bounded(energies, bounds).to(scores.dtype)

    @abstractmethod
    def bounded(self, energies: Tensor, bounds: Tensor) -> Tensor:
        """Weights ...,S of energies (-inf where masked) that are at most the bounds ...,S."""


class ConstrainedSoftmax(Constrained):
    """The distribution nearest to the softmax, by Kullback-Leibler divergence, under the bounds:
    p_s = min(u_s, exp(e_s) / Z) (Martins 2017, section 2.2)."""

    summary = "a softmax in which no position gets more than its fertility over all steps"

    def bounded(self, energies: Tensor, bounds: Tensor) -> Tensor:
        with torch.no_grad():
            capped = _capped(energies, bounds)
        held = torch.where(capped, bounds, 0.0)
        free = energies.masked_fill(capped, float("-inf")).softmax(-1)
        return torch.where(capped, held, (1 - held.sum(-1, keepdim=True)) * free)


def _capped(energies: Tensor, bounds: Tensor) -> Tensor:
    """Which positions ...,S get their bound.

    In the order of u_s / exp(e_s) they are the first ones: as long as the bound is below what the
    softmax over the rest makes of the rest of the mass.
    """
    ratio = torch.where(energies.isneginf(), float("inf"), bounds.log() - energies)
    ratio, order = ratio.sort(-1)
    energies = energies.gather(-1, order)
    bounds = torch.where(ratio.isposinf(), 0.0, bounds.gather(-1, order))
    left = (1 - (bounds.cumsum(-1) - bounds)).clamp_min(0.0)  # mass when those before are capped
    rest = energies.flip(-1).logcumsumexp(-1).flip(-1)
    capped = ratio < left.log() - rest
    return torch.zeros_like(capped).scatter(-1, order, capped)


normalisers.register("constrained-softmax")(ConstrainedSoftmax())

"""A sparsemax under fertilities: no position gets more weight, over all steps, than it may."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.attention.normalisers.constrained_softmax import Constrained
from bench.attention.registries import normalisers

#: Halvings after which tau is exact in float64 for energies of any sensible size.
HALVINGS = 64


class ConstrainedSparsemax(Constrained):
    """The projection onto the simplex under the bounds: p_s = max(0, min(u_s, e_s - tau)) (Malaviya
    2018, proposition 1). tau is found by bisection; weights and gradients follow from which
    positions lie at 0, at their bound and between."""

    summary = "a sparsemax in which no position gets more than its fertility over all steps"

    def bounded(self, energies: Tensor, bounds: Tensor) -> Tensor:
        energies = energies - energies.amax(-1, keepdim=True)
        with torch.no_grad():
            above = energies.double() - _threshold(energies.double(), bounds)
            capped = above >= bounds
            free = (above > 0) & ~capped
        held = torch.where(capped, bounds, 0.0)
        between = torch.where(free, energies, 0.0)
        mass = 1 - held.sum(-1, keepdim=True) - between.sum(-1, keepdim=True)
        share = mass / free.sum(-1, keepdim=True).clamp_min(1)
        diverged = 0.0 * energies.detach().amax(-1, keepdim=True)  # NaN for a row with any, else 0
        return held + torch.where(free, between + share, 0.0) + diverged


def _threshold(energies: Tensor, bounds: Tensor) -> Tensor:
    """tau ...,1 at which max(0, min(u, e - tau)) sums to 1."""
    real = ~energies.isneginf()
    low = torch.where(real, energies, 0.0).amin(-1, keepdim=True) - 1  # the sum is at least 1
    step = -low  # the sum is 0 at the largest energy, which is 0
    for _ in range(HALVINGS):
        step = step / 2
        tau = low + step
        total = torch.minimum((energies - tau).clamp_min(0.0), bounds).sum(-1, keepdim=True)
        low = torch.where(total >= 1, tau, low)
    return low


normalisers.register("constrained-sparsemax")(ConstrainedSparsemax())

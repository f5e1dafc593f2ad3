"""Sigmoids that need not sum to 1."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.attention.base import Normaliser, WeightsKind, masked
from bench.attention.registries import normalisers


class Sigmoid(Normaliser):
    """sigmoid(e_s + b) with b = -log n (Ramapuram 2024, equation 3 and section 3.1).

    n is the number of positions that the query may look at, so that a row of zeros sums to about 1
    whatever the padding. (The paper takes the length of the sequence for causal rows as well.)
    """

    summary = "a sigmoid per position; rows need not sum to 1"
    citation = "Ramapuram 2024"
    weights_kind: WeightsKind = "unnormalised"

    def __call__(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        energies = masked(scores, mask)
        if mask is None:
            seen = energies.new_tensor(energies.shape[-1])
        else:
            seen = mask.sum(-1, keepdim=True).to(energies.dtype)  # ...,1
        return torch.sigmoid(energies - seen.log()).to(scores.dtype)


normalisers.register("sigmoid")(Sigmoid())

"""Sigmoids in place of exponentials."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from bench.attention.base import Normaliser, masked
from bench.attention.registries import normalisers


class Smooth(Normaliser):
    """sigmoid(e_s) / sum sigmoid(e) (Chorowski 2015, section 2.3)."""

    summary = "sigmoids, normalised; spreads over several positions"
    citation = "Chorowski 2015"

    def __call__(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        # The softmax of log sigmoids is the same and safe where all sigmoids underflow.
        return F.logsigmoid(masked(scores, mask)).softmax(-1).to(scores.dtype)


normalisers.register("smooth")(Smooth())

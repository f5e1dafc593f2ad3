"""The exponential normaliser."""

from __future__ import annotations

from torch import Tensor

from bench.attention.base import Normaliser, masked
from bench.attention.registries import normalisers


class Softmax(Normaliser):
    """exp(e_s) / sum exp(e)."""

    summary = "exponentials, normalised; every weight is above 0"
    citation = "Bahdanau 2015"
    supports_sdpa = True

    def __call__(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        return masked(scores, mask).softmax(-1).to(scores.dtype)


normalisers.register("softmax")(Softmax())

"""A softmax over the largest energies."""

from __future__ import annotations

from torch import Tensor

from bench.attention.base import AttentionOptions, Normaliser, masked
from bench.attention.registries import normalisers


class TopK(Normaliser):
    """The softmax over the k largest energies, 0 elsewhere (Zhao 2019, equations 4 to 6).

    The paper keeps what is at least as large as the k-th largest, so more than k where energies are
    equal. k is the mechanism's option `top_k`; a row of fewer positions keeps all of them.
    """

    summary = "a softmax over the k largest energies; the other weights are exactly 0"
    citation = "Zhao 2019"

    def __init__(self, k: int = 8) -> None:
        self.k = k

    def for_heads(self, heads: int, options: AttentionOptions | None = None) -> Normaliser:
        return TopK(getattr(options, "top_k", self.k))

    def __call__(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        energies = masked(scores, mask)
        k = min(self.k, energies.shape[-1])
        least = energies.topk(k, dim=-1).values[..., -1:]  # ...,1 -inf where fewer are real
        kept = energies.masked_fill(energies < least, float("-inf"))
        return kept.softmax(-1).to(scores.dtype)


normalisers.register("top-k")(TopK())

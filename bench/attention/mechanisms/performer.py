"""Softmax attention by random features."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from bench.attention.attention import ScoreOptions
from bench.attention.base import Sizes
from bench.attention.mechanisms.linear import KernelAttention
from bench.attention.registries import attentions


class PerformerOptions(ScoreOptions):
    random_features: int = Field(
        64, ge=1, description="features of a head; the paper has 256 and more"
    )


def orthogonal_rows(rows: int, size: int) -> Tensor:
    """Random vectors rows,size, each as if of a standard normal distribution, at right angles to
    each other in blocks of `size` (Choromanski 2021, section 2.4; R-ORF of its appendix)."""
    blocks = []
    for _ in range(-(-rows // size)):
        q, r = torch.linalg.qr(torch.randn(size, size))
        # Signs make the distribution uniform over all rotations (Mezzadri 2007).
        blocks.append((q * r.diagonal().sign()).T)
    lengths = torch.randn(rows, size).norm(dim=1, keepdim=True)
    return torch.cat(blocks)[:rows] * lengths


@attentions.register("performer")
class PerformerAttention(KernelAttention):
    """FAVOR+ (Choromanski 2021, equation 7 and section 2.4): with the features

        phi(x) = exp(w_i . x - |x|^2 / 2) / sqrt(m),  i = 1 .. m,

    the mean of phi(q) . phi(k) over the draws of w is exp(q . k), the kernel of softmax attention;
    x is the query or key times the root of the score's factor. The vectors w are orthogonal, drawn
    once, when the layer is built (the paper can draw them again during training), and shared by
    heads.

    The scale of a query's features cancels out, so their largest is 1. So does a scale that all
    keys share: where the largest exponent among the keys of a sequence is below `LOWEST`, it is
    subtracted, since in float32 all features would vanish where |k|^2 is above 170 sqrt(d). The
    authors' code subtracts it always; here features that are well within range stay as they are.
    In a decoder's own slot it is the largest so far when writing, and that of the whole sequence
    in training: there a query may still find nothing among keys that are far below a later one.
    """

    summary = "positive random features in place of the softmax: cost linear in the length"
    citation = "Choromanski 2021"
    classic_score = "scaled-dot"
    Options = PerformerOptions
    #: Exponent from which features are in no danger of vanishing.
    LOWEST: ClassVar[float] = -20.0
    directions: Tensor

    def __init__(self, sizes: Sizes, score: str, options: PerformerOptions) -> None:
        super().__init__(sizes, score, options)
        drawn = orthogonal_rows(options.random_features, self.vector_size)  # F,K
        self.register_buffer("directions", drawn)

    def key_features(self, vectors: Tensor, real: Tensor | None) -> tuple[Tensor, Tensor]:
        scaled = vectors * self.factor**0.5
        norm = scaled.square().sum(-1, keepdim=True) / 2
        exponents = self._products(scaled) - norm  # B,H,N,F
        seen = exponents.detach()
        if real is not None:
            seen = seen.masked_fill(~real, -torch.inf)
        largest = seen.amax((-2, -1), keepdim=True)  # B,H,1,1
        scale = largest.masked_fill(largest >= self.LOWEST, 0.0)
        # Padding keeps its exponents: it may have larger ones, which would overflow.
        shift = scale if real is None else torch.where(real, scale, 0.0)  # B,H,N,1
        return (exponents - shift).exp() / self.directions.shape[0] ** 0.5, scale

    def query_features(self, vectors: Tensor) -> Tensor:
        products = self._products(vectors * self.factor**0.5)  # B,H,T,F
        return (products - products.detach().amax(-1, keepdim=True)).exp()

    def _products(self, scaled: Tensor) -> Tensor:
        return scaled @ self.directions.to(scaled.dtype).T

"""The control that looks at everything alike, and what mechanisms that compare nothing share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from bench.attention import Backbone
from bench.attention.attention import ScoredAttention
from bench.attention.base import NOTHING, AttentionOptions, Score, Sizes, Window
from bench.attention.registries import attentions


class NoComparison(Score):
    """Energies of 0, whatever queries and keys are."""

    def project_keys(self, keys: Tensor) -> Tensor:
        return keys[:, None, :, :0].expand(-1, self.heads, -1, -1)  # B,H,S,0

    def forward(
        self, query: Tensor, projected: Tensor, remembered: Mapping[str, Tensor] = NOTHING
    ) -> Tensor:
        return query.new_zeros(*projected.shape[:2], query.shape[1], projected.shape[2])


class ContentFreeAttention(ScoredAttention):
    """Base of the mechanisms whose weights compare no query with a key. Values, heads, causality
    and windows are those of every other mechanism."""

    classic_score = "none"

    def _make_score(self, name: str, sizes: Sizes) -> Score:
        return NoComparison(sizes.query, self.key_size, self.heads)

    @classmethod
    def refusal(cls, score: str, backbone: Backbone) -> str | None:
        if backbone != "transformer" and "cross" not in cls.slots:
            return "it stands in self-attention, which is the Transformer's"
        return None


@attentions.register("uniform")
class UniformAttention(ContentFreeAttention):
    """Equal weights over the real positions: c = 1/S sum_s s (`NoAtt` of ESPnet, Watanabe 2018).

    Between `none` and the mechanisms: all states are read, none is chosen. The options of a
    normaliser have no say, since every one makes equal weights of equal energies.
    """

    summary = "equal weights over all positions, a control"
    citation = "Watanabe 2018"
    normalises = False
    Options: ClassVar[type[AttentionOptions]] = AttentionOptions

    def __init__(
        self, sizes: Sizes, score: str, options: AttentionOptions, *, window: Window | None = None
    ) -> None:
        options = options.model_copy(update={"normaliser": "softmax"})
        super().__init__(sizes, score, options, window=window)

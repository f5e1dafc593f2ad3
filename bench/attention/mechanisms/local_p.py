"""Attention inside a window around a predicted position."""

from __future__ import annotations

from pydantic import Field

from bench.attention import Backbone
from bench.attention.base import AttentionOptions, Sizes
from bench.attention.heads import weights_kind
from bench.attention.mechanisms.local_m import LocalAttention, LocalOptions
from bench.attention.registries import attentions
from bench.attention.windows import PredictiveWindow


class PredictiveOptions(LocalOptions):
    renormalise: bool = Field(
        True, description="weights under the Gaussian sum to 1 again; equation 10 does not"
    )


@attentions.register("local-p")
class LocalPredictive(LocalAttention):
    """A window with a Gaussian around a predicted position (Luong 2015, equations 9, 10)."""

    summary = "a window of 2D+1 positions around a predicted one, with a Gaussian"
    Options = PredictiveOptions

    @classmethod
    def refusal_of_options(
        cls, options: AttentionOptions, score: str, backbone: Backbone
    ) -> str | None:
        if getattr(options, "renormalise", False) and weights_kind(options) != "distribution":
            return "renormalise makes weights sum to 1 again; with these options they do not"
        return super().refusal_of_options(options, score, backbone)

    def __init__(self, sizes: Sizes, score: str, options: PredictiveOptions) -> None:
        window = PredictiveWindow(
            sizes.query, options.window, axes=sizes.axes, renormalise=options.renormalise
        )
        super().__init__(sizes, score, options, window=window)
        if not options.renormalise and self.weights_kind == "distribution":
            self.weights_kind = "sub-distribution"

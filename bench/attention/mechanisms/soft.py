"""Attention with the previous decoder state."""

from __future__ import annotations

from pydantic import Field

from bench.attention import Backbone
from bench.attention.attention import ScoredAttention, WindowedOptions
from bench.attention.base import AttentionOptions, Sizes
from bench.attention.heads import weights_kind
from bench.attention.registries import attentions


class SoftOptions(WindowedOptions):
    gate: bool = Field(False, description="Xu 2015: sigmoid(w . h + b) scales the context")
    doubly_stochastic: float = Field(
        0.0, ge=0, description="weight of Xu 2015's penalty on unevenly attended positions"
    )


@attentions.register("soft")
class SoftAttention(ScoredAttention):
    """The expectation under a previous-state query enters the cell (Bahdanau 2015, equation 5).

    The gate and the penalty are those of Xu 2015, section 4.2.1; who trains adds the penalty.
    """

    summary = "attends with the previous decoder state; the context enters the cell"
    citation = "Bahdanau 2015, Xu 2015"
    placement = "previous-state"
    classic_score = "concat"
    Options = SoftOptions

    @classmethod
    def refusal_of_options(
        cls, options: AttentionOptions, score: str, backbone: Backbone
    ) -> str | None:
        if getattr(options, "doubly_stochastic", 0) and weights_kind(options) != "distribution":
            return (
                "doubly_stochastic shares out weights that sum to 1; with these options they do not"
            )
        return super().refusal_of_options(options, score, backbone)

    def __init__(self, sizes: Sizes, score: str, options: SoftOptions) -> None:
        super().__init__(sizes, score, options, window=options.window(), gate=options.gate)

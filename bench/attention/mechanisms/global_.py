"""Attention with the current decoder state."""

from __future__ import annotations

from bench.attention.attention import ScoredAttention, WindowedOptions
from bench.attention.base import Sizes
from bench.attention.registries import attentions


@attentions.register("global")
class GlobalAttention(ScoredAttention):
    """The expectation under a current-state query (Luong 2015, section 3.1).

    The attentional hidden state tanh(W [c ; h]) and input feeding belong to the decoder.
    """

    summary = "attends with the current decoder state; then the attentional vector"
    citation = "Luong 2015"
    placement = "current-state"
    classic_score = "general"
    Options = WindowedOptions

    def __init__(self, sizes: Sizes, score: str, options: WindowedOptions) -> None:
        super().__init__(sizes, score, options, window=options.window())

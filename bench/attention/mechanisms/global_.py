"""Attention with the current decoder state."""

from __future__ import annotations

from typing import ClassVar

from bench.attention.attention import ScoredAttention, WindowedOptions
from bench.attention.base import AttentionOptions, Sizes
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
    Options: ClassVar[type[AttentionOptions]] = WindowedOptions

    def __init__(self, sizes: Sizes, score: str, options: AttentionOptions) -> None:
        assert isinstance(options, WindowedOptions)
        super().__init__(sizes, score, options, window=options.window())

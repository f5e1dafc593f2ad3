"""Attention in every layer of a convolutional decoder."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from bench.attention import Backbone
from bench.attention.attention import ScoredAttention, ScoredOptions
from bench.attention.base import (
    Keys,
    Memory,
    Sizes,
)
from bench.attention.registries import attentions, no_previous_step


class MultiStepOptions(ScoredOptions):
    scale_context: bool = Field(
        True, description="the context times S sqrt(1/S), S real positions (Gehring 2017, 3.4)"
    )


@attentions.register("multi-step")
class MultiStepAttention(ScoredAttention):
    """One layer's attention of Gehring 2017, section 3.3; each decoder layer has one.

    The query is the projected decoder state plus the target embedding (the decoder's business),
    keys are encoder outputs z, values z plus source embeddings (`Memory.values`).
    """

    summary = "convolutional encoder and decoder, attention in every decoder layer"
    citation = "Gehring 2017"
    backbone = "convolutional"
    classic_score = "dot"
    Options = MultiStepOptions

    def __init__(self, sizes: Sizes, score: str, options: MultiStepOptions) -> None:
        super().__init__(sizes, score, options)
        self.scale_context = options.scale_context

    @classmethod
    def refusal(cls, score: str, backbone: Backbone) -> str | None:
        return no_previous_step("multi-step", score)

    def prepare(self, memory: Memory) -> Keys:
        keys = super().prepare(memory)
        if not self.scale_context:
            return keys
        # S sqrt(1/S) = sqrt(S)
        root = memory.lengths.to(memory.states.dtype).sqrt()[:, None, None]  # B,1,1
        return Keys(memory, {**keys.tensors, "scale": root})

    def finish(self, context: Tensor, query: Tensor, keys: Keys) -> Tensor:
        context = super().finish(context, query, keys)
        return context * keys.tensors["scale"] if self.scale_context else context

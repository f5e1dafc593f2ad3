"""The control: no attention."""

from __future__ import annotations

from torch import Tensor

from bench.attention.base import Attention, AttentionOutput, AttentionState, Keys, Memory
from bench.attention.registries import attentions


@attentions.register("none")
class FixedVector(Attention):
    """The context is the memory's summary at every step; there are no weights."""

    summary = "encoder-decoder over one fixed vector, the control"
    citation = "Sutskever 2014, Cho 2014"
    placement = "fixed"
    classic_score = "none"
    normalises = False

    def prepare(self, memory: Memory) -> Keys:
        return Keys(memory)

    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, *, need_weights: bool = True
    ) -> AttentionOutput:
        steps = query.shape[1]
        context = keys.memory.summary[:, None].expand(-1, steps, -1)  # B,T,D
        return AttentionOutput(context, AttentionState(state.position + steps))

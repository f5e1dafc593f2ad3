"""Attention inside a window that moves with the step; what it shares with `local-p`."""

from __future__ import annotations

from pydantic import Field
from torch import Tensor

from bench.attention.aggregation import weighted_mean
from bench.attention.attention import ScoredAttention, ScoredOptions
from bench.attention.base import (
    AttentionOptions,
    AttentionOutput,
    AttentionState,
    DotScore,
    Keys,
    Memory,
    Sizes,
)
from bench.attention.registries import attentions
from bench.attention.windows import MonotonicWindow, PointWindow, pooled, take_rows

#: How many times longer than its window a memory must be for gathering to pay, measured on a CPU:
#: a product over all keys is cheap beside copying the near ones, the additive score is not.
GATHER_FROM_PRODUCT, GATHER_FROM = 16, 2


class LocalOptions(ScoredOptions):
    window: int = Field(
        5, ge=1, description="D, positions on either side of the centre; Luong 2015 has 10"
    )


class LocalAttention(ScoredAttention):
    """Attention inside a window around a point (Luong 2015, section 3.2): the base of `local-m` and
    `local-p`. Where a source is much longer than the window, only what lies inside is scored."""

    citation = "Luong 2015"
    placement = "current-state"
    classic_score = "general"
    Options = LocalOptions

    def __init__(
        self, sizes: Sizes, score: str, options: AttentionOptions, *, window: PointWindow
    ) -> None:
        super().__init__(sizes, score, options, window=window)

    @property
    def point_window(self) -> PointWindow:
        assert isinstance(self.window, PointWindow)
        return self.window

    def prepare(self, memory: Memory) -> Keys:
        keys = super().prepare(memory)
        return pooled(keys, "keys", "values") if self._gathering_pays(keys) else keys

    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, *, need_weights: bool = True
    ) -> AttentionOutput:
        if self._gathering_pays(keys):
            return self._attend_nearby(query, keys, state, need_weights)
        return super().forward(query, keys, state, need_weights=need_weights)

    def _gathering_pays(self, keys: Keys) -> bool:
        if keys.memory.grid is not None or self.goes_step_by_step or self.score_heads > 1:
            return False
        times = GATHER_FROM_PRODUCT if isinstance(self.score, DotScore) else GATHER_FROM
        return keys.memory.mask.shape[1] >= times * (2 * self.point_window.width + 1)

    def _attend_nearby(
        self, query: Tensor, keys: Keys, state: AttentionState, need_weights: bool
    ) -> AttentionOutput:
        """Same result as `forward`, scoring only the W positions inside the window."""
        B, T, _ = query.shape
        # Window: its positions, and which of them are real.
        index, window = self.point_window.nearby(query, keys, state.position)  # B,T,W
        # Score and normaliser, each query with keys of its own.
        near_keys = take_rows(keys, "keys", index)  # B*T,1,W,K
        energies = self.score(query.reshape(B * T, 1, -1), near_keys)  # B*T,1,1,W
        energies = self.scaled(energies).view(B, 1, *index.shape[1:])  # B,1,T,W
        near = window.apply_gain(self.normaliser(energies, window.mask))  # B,1,T,W
        # Aggregation.
        near_values = take_rows(keys, "values", index)  # B*T,1,W,V
        context = weighted_mean(near.view(B * T, 1, 1, -1), near_values).view(B, T, -1)  # B,T,V
        # Weights of all positions, only where they are asked for.
        weights = None
        if need_weights:
            empty = near.new_zeros(B, T, keys.memory.mask.shape[1])
            weights = empty.scatter_add(-1, index, near[:, 0])
        state = AttentionState(state.position + T, state.tensors)
        return AttentionOutput(self.finish(context, query, keys), state, weights)


@attentions.register("local-m")
class LocalMonotonic(LocalAttention):
    """A window around step t, or t x length ratio (Luong 2015, section 3.2)."""

    summary = "a window of 2D+1 positions that moves with the step"

    def __init__(self, sizes: Sizes, score: str, options: LocalOptions) -> None:
        window = MonotonicWindow(options.window, sizes.length_ratio)
        super().__init__(sizes, score, options, window=window)

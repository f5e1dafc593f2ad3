"""Multi-head attention, of a sequence to itself or to another."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from pydantic import Field, model_validator

from bench.attention import Backbone
from bench.attention.attention import ScoredAttention, ScoreOptions
from bench.attention.base import Everywhere, Sizes, Slot, Window
from bench.attention.positions import KINDS, RelativePositions, ShawPositions
from bench.attention.registries import attentions, no_previous_step
from bench.attention.windows import SlidingWindow
from bench.errors import NotApplicable

EVERY_SLOT: frozenset[Slot] = frozenset({"cross", "encoder", "decoder"})


class SelfOptions(ScoreOptions):
    """Options of `self`; positions and window are those of self-attention, since attention to
    another sequence has no common axis."""

    relative_positions: Literal["none", "shaw", "t5", "alibi", "rope", "transformer-xl"] = Field(
        "none",
        description="positions relative to the query in self-attention, in place of absolute ones "
        "(unless positional_encoding asks for both)",
    )
    max_distance: int = Field(
        16, ge=1, description="the distance at which Shaw 2018's positions are clipped"
    )
    window: int = Field(
        0,
        ge=0,
        description="self-attention to so many positions on either side only; 0 for all",
    )
    global_positions: int = Field(
        0, ge=0, description="first positions that see all and that all see, beside a window"
    )

    @model_validator(mode="after")
    def _global_beside_a_window(self) -> SelfOptions:
        if self.global_positions and not self.window:
            raise ValueError("give a window as well: without one every position is global")
        return self

    @property
    def model_defaults(self) -> Mapping[str, Any]:
        return {} if self.relative_positions == "none" else {"positional_encoding": "none"}


@attentions.register("self")
class MultiHeadAttention(ScoredAttention):
    """Multi-head attention with its four projections (Vaswani 2017, section 3.2.2).

    One module is one sub-layer: encoder self-attention (queries and memory are the same
    positions), causal self-attention, or attention to the encoder. Queries, keys and values are
    projected to the size Q of a query and split into heads; the context has size Q. The number of
    heads is the backbone's (`num_heads`), in all slots alike. Relative positions
    (`bench/attention/positions.py`) and a sliding window are options of the self-attentions.

    Raises:
        UsageError: heads that do not divide the size.
        NotApplicable: relative positions that the score cannot have.
    """

    summary = "Transformer: multi-head self-attention and cross-attention"
    citation = "Vaswani 2017"
    backbone = "transformer"
    slots = EVERY_SLOT
    classic_score = "scaled-dot"
    heads_of_backbone = True
    Options = SelfOptions

    def __init__(self, sizes: Sizes, score: str, options: SelfOptions) -> None:
        of_self = sizes.slot != "cross"
        window: Window = Everywhere()
        if of_self and options.window:
            window = SlidingWindow(options.window, options.global_positions)
        super().__init__(sizes, score, options, window=window)
        if of_self and options.relative_positions != "none":
            self.positions = self._relative(options, sizes.query)
            # A factor multiplies the biases of positions too, which the kernel has as a mask.
            self.supports_sdpa = (
                self.supports_sdpa and not self.positions.adds_context and self.energy_factor == 1
            )

    @classmethod
    def refusal(cls, score: str, backbone: Backbone) -> str | None:
        return no_previous_step("self", score) or super().refusal(score, backbone)

    def _relative(self, options: SelfOptions, model_size: int) -> RelativePositions:
        kind = KINDS[options.relative_positions]
        dot = self.score.as_dot(torch.zeros(1, 1, model_size))  # 1,H,1,K
        if dot is None and kind.needs_dot:
            raise NotApplicable(
                f"relative positions of the kind {options.relative_positions} are part of an inner "
                "product, which the score is not",
                where="relative_positions",
                remedy="choose t5 or alibi, or the score scaled-dot",
            )
        size = 0 if dot is None else dot[0].shape[-1]
        if kind is ShawPositions:
            return ShawPositions(
                size,
                self.heads,
                model_size,
                self.causal,
                value_size=model_size // self.heads,
                max_distance=options.max_distance,
            )
        return kind(size, self.heads, model_size, self.causal)

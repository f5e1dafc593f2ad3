"""Multi-head attention, of a sequence to itself or to another."""

from __future__ import annotations

from bench.attention import Backbone
from bench.attention.attention import ScoredAttention, ScoreOptions
from bench.attention.base import (
    Slot,
)
from bench.attention.registries import attentions, no_previous_step

EVERY_SLOT: frozenset[Slot] = frozenset({"cross", "encoder", "decoder"})


@attentions.register("self")
class MultiHeadAttention(ScoredAttention):
    """Multi-head attention with its four projections (Vaswani 2017, section 3.2.2).

    One module is one sub-layer: encoder self-attention (queries and memory are the same
    positions), causal self-attention, or attention to the encoder. Queries, keys and values are
    projected to the size Q of a query and split into heads; the context has size Q. The number of
    heads is the backbone's (`num_heads`), in all slots alike.

    Raises:
        UsageError: heads that do not divide the size.
    """

    summary = "Transformer: multi-head self-attention and cross-attention"
    citation = "Vaswani 2017"
    backbone = "transformer"
    slots = EVERY_SLOT
    classic_score = "scaled-dot"
    projects = True
    heads_of_backbone = True
    Options = ScoreOptions

    @classmethod
    def refusal(cls, score: str, backbone: Backbone) -> str | None:
        return no_previous_step("self", score) or super().refusal(score, backbone)

"""Multi-head attention, of a sequence to itself or to another."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.attention.attention import ScoredAttention, split_heads
from bench.attention.base import (
    AttentionOptions,
    AttentionOutput,
    AttentionState,
    Keys,
    Memory,
    Score,
    Sizes,
)
from bench.attention.registries import attentions, no_previous_step, scores
from bench.errors import UsageError


@attentions.register("self")
class MultiHeadAttention(ScoredAttention):
    """Multi-head attention with its four projections (Vaswani 2017, section 3.2.2).

    One module is one sub-layer: encoder self-attention (queries and memory are the same
    positions), causal self-attention (`causal=True`), or attention to the encoder. Queries, keys
    and values are projected to the size Q of a query and split into heads; the context has size Q.

    Raises:
        UsageError: heads that do not divide the size.
    """

    summary = "Transformer: multi-head self-attention and cross-attention"
    citation = "Vaswani 2017"
    placement = "transformer"
    classic_score = "scaled-dot"

    def __init__(self, sizes: Sizes, score: str, options: AttentionOptions) -> None:
        if sizes.query % sizes.heads:
            raise UsageError(
                f"size {sizes.query} does not split into {sizes.heads} heads",
                where="num_heads",
                remedy="make the hidden size a multiple of the heads",
            )
        super().__init__(sizes, score, options)
        self.heads, self.context_size = sizes.heads, sizes.query
        self.query_projection = _projection(sizes.query, sizes.query)
        self.key_projection = _projection(sizes.memory, sizes.query)
        self.value_projection = _projection(sizes.memory, sizes.query)
        self.output_projection = _projection(sizes.query, sizes.query)

    @classmethod
    def refusal(cls, score: str) -> str | None:
        return no_previous_step("self", score)

    def _make_score(self, name: str, sizes: Sizes) -> Score:
        kind = scores.get(name, where="score")
        return kind.build(sizes.query, sizes.query, sizes.heads, self.options)

    def extend(self, keys: Keys | None, states: Tensor) -> Keys:
        """Append positions to a cache of keys and values, for decoding step by step.

        Args:
            keys: the cache so far; None begins one, whose positions are all real.
            states: B,N,D, real positions; usually N is 1.

        Returns:
            Keys that attend to old and new positions. Their `memory` stays that of the beginning;
            all that is attended to lies in `tensors`.
        """
        new = self._project(states, states)
        if keys is None:
            mask = torch.ones(states.shape[:2], dtype=torch.bool, device=states.device)
            return Keys(Memory(states, mask, states[:, 0]), new)
        old = keys.tensors
        tensors = {name: torch.cat([old[name], new[name]], 2) for name in new}  # B,H,S+N,K
        if "mask" in old:
            real = old["mask"].new_ones(len(states), 1, 1, states.shape[1])
            tensors["mask"] = torch.cat([old["mask"], real], -1)
        return Keys(keys.memory, tensors)

    def _project(self, states: Tensor, values: Tensor) -> dict[str, Tensor]:
        return {
            "keys": self.score.project_keys(self.key_projection(states)),  # B,H,S,K
            "values": split_heads(self.value_projection(values), self.heads),  # B,H,S,Q/H
        }

    def forward(
        self,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        *,
        need_weights: bool = True,
        causal: bool = False,
    ) -> AttentionOutput:
        """Attend as in the base class, optionally to the past only.

        Args:
            causal: query t, counted from `state.position`, sees the positions 0 to t only. For
                queries and keys that are the same sequence.
        """
        mask = keys.tensors.get("mask")
        if causal:
            seen = causal_mask(query, keys.tensors["keys"].shape[2], state.position)
            mask = seen if mask is None else mask & seen
        return self._attend(self.query_projection(query), keys, state, mask, need_weights)

    def finish(self, context: Tensor, query: Tensor, keys: Keys) -> Tensor:
        output: Tensor = self.output_projection(context)
        return output


def causal_mask(query: Tensor, size: int, position: int) -> Tensor:
    """Causal mask T,S: query t sees position s where s <= position + t."""
    steps = torch.arange(position, position + query.shape[1], device=query.device)
    return torch.arange(size, device=query.device) <= steps[:, None]


def _projection(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer

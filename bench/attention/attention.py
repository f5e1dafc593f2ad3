"""Attention put together from its parts: score x window x normaliser x aggregation."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, field_validator
from torch import Tensor, nn

from bench.attention.base import (
    Attended,
    Attention,
    AttentionOptions,
    AttentionState,
    Keys,
    Memory,
    Sampled,
    Sizes,
    join_steps,
    zero_padding,
)
from bench.attention.registries import normalisers, scores
from bench.attention.scores import Score
from bench.attention.windows import Everywhere, MedianWindow, Window

# Heads: slices of a vector that are treated alike, each with parameters of its own.


def split_heads(vectors: Tensor, heads: int) -> Tensor:
    """B,N,D to B,H,N,D/H; a view."""
    if heads == 1:
        return vectors.unsqueeze(1)
    return vectors.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(vectors: Tensor) -> Tensor:
    """B,H,N,D to B,N,H*D; undoes `split_heads`."""
    if vectors.shape[1] == 1:
        return vectors.squeeze(1)
    return vectors.transpose(1, 2).flatten(-2)


class HeadLinear(nn.Module):
    """One linear map per head: B,N,I to B,H,N,O, head h mapping its slice of size I/H.

    Args:
        inputs: I, size of the vectors, all heads together.
        outputs: O, size of the result of each head.
        heads: H; must divide I.
        bias: whether a vector is added.
    """

    def __init__(self, inputs: int, outputs: int, heads: int = 1, *, bias: bool = True) -> None:
        super().__init__()
        assert inputs % heads == 0, f"{inputs} does not split into {heads} heads"
        size = inputs // heads
        bound = 1 / math.sqrt(size)  # that of nn.Linear
        self.heads = heads
        self.weight = nn.Parameter(torch.empty(heads, outputs, size).uniform_(-bound, bound))
        self.bias = (
            nn.Parameter(torch.empty(heads, outputs).uniform_(-bound, bound)) if bias else None
        )

    def forward(self, vectors: Tensor) -> Tensor:
        if self.heads == 1:
            bias = None if self.bias is None else self.bias[0]
            return F.linear(vectors, self.weight[0], bias).unsqueeze(1)  # B,1,N,O
        # matmul would copy the weights for every example; einsum folds B and N together.
        split = split_heads(vectors, self.heads)  # B,H,N,I
        mapped = torch.einsum("bhni,hoi->bhno", split, self.weight)
        return mapped if self.bias is None else mapped + self.bias[:, None]


# Aggregation: from weights and values to a context. Expectation here, sampling beside it.


@dataclass(frozen=True)
class Taken:
    """What was taken from a memory.

    Attributes:
        context: B,T,C.
        weights: B,H,T,S, the weights that made the context (one-hot where a location was drawn).
        sampled: of the locations drawn, or None.
    """

    context: Tensor
    weights: Tensor
    sampled: Sampled | None = None


class Aggregation(nn.Module, ABC):
    """Base class of aggregations."""

    def initial_tensors(self, keys: Keys) -> Mapping[str, Tensor]:
        """Batch-first tensors that go into the first state and stay there."""
        return {}

    @abstractmethod
    def forward(self, weights: Tensor, values: Tensor, tensors: Mapping[str, Tensor]) -> Taken:
        """Combine values B,H,S,V by weights B,H,T,S; `tensors` are those of the state."""


class Expectation(Aggregation):
    """The weighted mean: c = sum_s a_s v_s."""

    def forward(self, weights: Tensor, values: Tensor, tensors: Mapping[str, Tensor]) -> Taken:
        return Taken(weighted_mean(weights, values), weights)


def weighted_mean(weights: Tensor, values: Tensor) -> Tensor:
    """B,H,T,S and B,H,S,V to B,T,H*V."""
    return merge_heads(weights.to(values.dtype) @ values)


class ScoredOptions(AttentionOptions):
    """Options of every mechanism that scores; each score reads what concerns it."""

    attention_size: int | None = Field(
        None,
        ge=1,
        description="size of the additive score's hidden layer, that of a key if unset; dot scores "
        "project query and key to it, or take them as they are if unset",
    )
    location_filters: int = Field(10, ge=1, description="convolutions over the previous weights")
    location_kernel: int = Field(15, ge=1, description="their width in positions; odd")

    @field_validator("location_kernel")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value % 2 == 0:
            raise ValueError("a convolution centred on a position has an odd width")
        return value


class WindowedOptions(ScoredOptions):
    """Options of the mechanisms that have no window of their own in training."""

    test_window: int = Field(
        0,
        ge=0,
        description="Chorowski 2015: at test only so many positions on either side of the median "
        "of the previous weights; 0 for all",
    )

    def window(self) -> Window:
        """The window that they ask for."""
        return MedianWindow(self.test_window) if self.test_window else Everywhere()


@dataclass(frozen=True)
class Weighed:
    """What a mechanism makes of the energies.

    Attributes:
        weights: B,H,T,S.
        tensors: what goes into the next state.
        parts: further B,T,S tensors for traces.
    """

    weights: Tensor
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    parts: Mapping[str, Tensor] = field(default_factory=dict)


class ScoredAttention(Attention):
    """The composed mechanism. Ours differ in the parts they put in, and in little else.

    Args:
        score: name of the score.
        window: default is no window.
        aggregation: default is the expectation.
        gate: whether sigmoid(w . h + b) scales the context (Xu 2015, section 4.2.1).

    Raises:
        UsageError: an unknown score or normaliser.
        NotApplicable: a score that does not suit the sizes.
    """

    Options: ClassVar[type[AttentionOptions]] = ScoredOptions
    #: Whether `weigh` is score, window and normaliser and no more; then a fused kernel may do it.
    plain: ClassVar[bool] = True

    def __init__(
        self,
        sizes: Sizes,
        score: str,
        options: AttentionOptions,
        *,
        window: Window | None = None,
        aggregation: Aggregation | None = None,
        gate: bool = False,
    ) -> None:
        super().__init__(sizes, score, options)
        self.options = options
        self.score = self._make_score(score, sizes)
        self.window = window or Everywhere()
        self.normaliser = normalisers.get(options.normaliser, where="normaliser")
        self.aggregation = aggregation or Expectation()
        self.gate = nn.Linear(sizes.query, 1) if gate else None
        expected = isinstance(self.window, Everywhere) and isinstance(self.aggregation, Expectation)
        self.fusable = self.plain and self.normaliser.fused and expected
        altered = type(self).forward is not ScoredAttention.forward
        self.shares_keys = self.plain and expected and not self.needs_previous and not altered

    def _make_score(self, name: str, sizes: Sizes) -> Score:
        kind = scores.get(name, where="score")
        return kind.build(sizes.query, sizes.memory, options=self.options)

    @property
    def needs_previous(self) -> bool:
        """Whether a step needs the weights of the one before, as things are now."""
        return self.score.needs_previous or self.window.needs_previous

    def prepare(self, memory: Memory) -> Keys:
        # Padding is zeroed once, so that nothing it holds (NaN included) reaches a product.
        states = zero_padding(memory.states, memory.mask)
        values = states if memory.values is None else zero_padding(memory.values, memory.mask)
        return Keys(
            memory,
            {
                "keys": self.score.project_keys(states),  # B,H,S,K
                "values": split_heads(values, 1),  # B,1,S,D
                "mask": memory.mask[:, None, None],  # B,1,1,S
                **self.window.prepare(memory),
            },
        )

    def initial_state(self, keys: Keys) -> AttentionState:
        tensors = dict(self.aggregation.initial_tensors(keys))
        if self.needs_previous:
            tensors["previous"] = first_position(keys.memory.mask, keys.tensors["values"].dtype)
        return AttentionState(0, tensors)

    def forward(
        self, query: Tensor, keys: Keys, state: AttentionState, *, need_weights: bool = True
    ) -> Attended:
        mask = keys.tensors.get("mask")
        if len(query) == len(keys.memory.mask):
            return self._attend(query, keys, state, mask, need_weights)
        assert self.shares_keys and query.shape[1] == 1, "each query has keys of its own"
        # The queries of hypotheses are to their sentence what those of positions are.
        folded = query.reshape(len(keys.memory.mask), -1, query.shape[2])  # N,A,Q
        found = self._attend(folded, keys, state, mask, need_weights)
        return Attended(
            found.context.flatten(0, 1)[:, None],
            AttentionState(state.position + 1, state.tensors),
            None if found.weights is None else found.weights.flatten(0, 1)[:, None],
            {name: part.flatten(0, 1)[:, None] for name, part in found.parts.items()},
        )

    def _attend(
        self,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        mask: Tensor | None,
        need_weights: bool,
    ) -> Attended:
        """`forward` with a mask (broadcastable to B,1,T,S) of the caller's."""
        steps = query.shape[1]
        if steps > 1 and self.needs_previous:
            return self._step_by_step(query, keys, state, need_weights)
        if not need_weights and self.fusable:
            dot = self.score.as_dot(query)
            if dot is not None:
                context = fused(*dot, keys, mask)
                context = self.finish(context, query, keys)
                return Attended(context, AttentionState(state.position + steps, state.tensors))
        energies = self.score(query, keys.tensors["keys"], state.tensors.get("previous"))
        weighed = self.weigh(energies, query, keys, state, mask)
        taken = self.aggregation(weighed.weights, keys.tensors["values"], state.tensors)
        tensors = {**state.tensors, **weighed.tensors}
        if self.needs_previous:
            tensors["previous"] = taken.weights[:, :, -1]  # B,H,S
        return Attended(
            self.finish(taken.context, query, keys),
            AttentionState(state.position + steps, tensors),
            mean_over_heads(taken.weights) if need_weights else None,
            self._parts(weighed, taken) if need_weights else {},
            taken.sampled,
        )

    def weigh(
        self,
        energies: Tensor,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        mask: Tensor | None,
    ) -> Weighed:
        """Energies B,H,T,S to weights: window, normaliser, gain."""
        focus = self.window(query, keys, state, mask)
        return Weighed(focus.apply_gain(self.normaliser(energies, focus.mask)))

    def finish(self, context: Tensor, query: Tensor, keys: Keys) -> Tensor:
        """What happens to the context B,T,C last."""
        return context if self.gate is None else context * torch.sigmoid(self.gate(query))

    def _parts(self, weighed: Weighed, taken: Taken) -> Mapping[str, Tensor]:
        heads = taken.weights.shape[1]
        if heads == 1:
            return weighed.parts
        named = {f"head {head + 1}": taken.weights[:, head] for head in range(heads)}
        return {**weighed.parts, **named}

    def _step_by_step(
        self, query: Tensor, keys: Keys, state: AttentionState, need_weights: bool
    ) -> Attended:
        """Each score needs the weights before it: here, and only here, there is a loop."""
        outputs = []
        for step in query.split(1, dim=1):
            outputs.append(self.forward(step, keys, state, need_weights=need_weights))
            state = outputs[-1].state
        return join_steps(outputs)


def fused(queries: Tensor, factor: float, keys: Keys, mask: Tensor | None) -> Tensor:
    """Context B,T,C by torch's kernel, which never forms the weights."""
    context = F.scaled_dot_product_attention(
        queries, keys.tensors["keys"], keys.tensors["values"], attn_mask=mask, scale=factor
    )
    return merge_heads(context)


def mean_over_heads(weights: Tensor) -> Tensor:
    """B,H,T,S to B,T,S."""
    return weights[:, 0] if weights.shape[1] == 1 else weights.mean(1)


def first_position(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """B,1,S with all weight on the first real position.

    These are the "previous weights" of the first step, as in the code of Chorowski 2015.
    """
    first = mask & (mask.cumsum(1) == 1)
    return first[:, None].to(dtype)

"""Aggregations: from weights and values to a context. Sampling stands beside `hard`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor, nn

from bench.attention.base import Keys, Sampled
from bench.attention.heads import merge_heads


@dataclass(frozen=True)
class Selection:
    """The result of an aggregation.

    Attributes:
        context: B,T,C.
        weights: B,H,T,S, the weights that made the context (one-hot where a location was drawn).
        sampled: log-probabilities and entropies of drawn locations, or None.
    """

    context: Tensor
    weights: Tensor
    sampled: Sampled | None = None


class Aggregation(nn.Module, ABC):
    """Base class of aggregations, which make contexts of weights and values."""

    def initial_tensors(self, keys: Keys) -> Mapping[str, Tensor]:
        """Return batch-first tensors that go into the first state and stay there."""
        return {}

    @abstractmethod
    def forward(self, weights: Tensor, values: Tensor, tensors: Mapping[str, Tensor]) -> Selection:
        """Combine values B,H,S,V by weights B,H,T,S; `tensors` are the tensors of the state."""


class Expectation(Aggregation):
    """The weighted mean: c = sum_s a_s v_s."""

    def forward(self, weights: Tensor, values: Tensor, tensors: Mapping[str, Tensor]) -> Selection:
        return Selection(weighted_mean(weights, values), weights)


def weighted_mean(weights: Tensor, values: Tensor) -> Tensor:
    """Means of the values B,H,S,V under the weights B,H,T,S, heads concatenated: B,T,H*V."""
    return merge_heads(weights.to(values.dtype) @ values)

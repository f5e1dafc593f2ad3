"""Score functions: how well a query and a key fit. One file each; the registry finds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

from torch import Tensor, nn

from bench.attention.base import AttentionOptions
from bench.errors import NotApplicable


class Score(nn.Module, ABC):
    """Base class of all scores; `@scores.register(name)` files one.

    A score is built for query size Q, key size D and H heads, and acts on slices of Q/H and D/H
    where H is above 1. The keys are projected once per batch, the queries at every call.
    """

    #: One line: what it is.
    summary: ClassVar[str] = ""
    #: The formula as in the papers: h is the query, s the key.
    formula: ClassVar[str] = ""
    #: The paper, e.g. "Luong 2015".
    citation: ClassVar[str] = ""
    #: True if it reads the weights of the step before.
    needs_previous: ClassVar[bool] = False

    def __init__(self, query_size: int, key_size: int, heads: int = 1) -> None:
        super().__init__()
        self.heads = heads

    @classmethod
    def refusal(cls, query_size: int, key_size: int) -> str | None:
        """Return why this score cannot compare vectors of these sizes, or None if it can."""
        return None

    @classmethod
    def build(
        cls, query_size: int, key_size: int, heads: int = 1, options: AttentionOptions | None = None
    ) -> Self:
        """Build the score for these sizes, with what options it has among the mechanism's.

        Raises:
            NotApplicable: the sizes do not suit this score; the reason is given.
        """
        reason = cls.refusal(query_size, key_size)
        if reason:
            raise NotApplicable(reason, remedy="use 'general' or 'concat'")
        return cls._from_options(query_size, key_size, heads, options)

    @classmethod
    def _from_options(
        cls, query_size: int, key_size: int, heads: int, options: AttentionOptions | None
    ) -> Self:
        return cls(query_size, key_size, heads)

    @abstractmethod
    def project_keys(self, keys: Tensor) -> Tensor:
        """Project keys B,S,D to B,H,S,K, once per batch.

        Must be affine in the keys: `hierarchical` mixes projected keys where the formula projects
        mixtures, which is the same since the mixing weights sum to 1.
        """

    @abstractmethod
    def forward(self, query: Tensor, projected: Tensor, previous: Tensor | None = None) -> Tensor:
        """Compute energies B,H,T,S, not masked.

        Args:
            query: B,T,Q.
            projected: B,H,S,K, the result of `project_keys`.
            previous: B,H,S, weights of the step before; given if `needs_previous`, with T = 1.
        """

    def as_dot(self, query: Tensor) -> tuple[Tensor, float] | None:
        """Return queries B,H,T,K and a factor if the energies are factor x query . projected key,
        so that a fused kernel may compute them; else None.
        """
        return None


class DotScore(Score):
    """A score that is an inner product of a transformed query and a projected key."""

    @abstractmethod
    def as_dot(self, query: Tensor) -> tuple[Tensor, float]: ...

    def forward(self, query: Tensor, projected: Tensor, previous: Tensor | None = None) -> Tensor:
        vectors, factor = self.as_dot(query)
        if factor != 1.0:
            vectors = vectors * factor  # before the product: there are fewer queries than pairs
        return vectors @ projected.transpose(-1, -2)  # B,H,T,S

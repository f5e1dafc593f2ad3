"""The dot product."""

from __future__ import annotations

from typing import Self

from torch import Tensor

from bench.attention.base import AttentionOptions, DotScore
from bench.attention.heads import HeadLinear, split_heads
from bench.attention.registries import scores


@scores.register("dot")
class Dot(DotScore):
    """e = h . s (Luong 2015, equation 8); with an `attention_size` A, e = W_1 h . W_2 s, both
    projected to A, which Britz 2017, section 4.5, calls multiplicative (per head where there are
    heads)."""

    summary = "inner product of query and key; no parameters"
    formula = "h . s"
    citation = "Luong 2015"

    def __init__(
        self, query_size: int, key_size: int, heads: int = 1, attention_size: int | None = None
    ) -> None:
        super().__init__(query_size, key_size, heads)
        self.query_size = query_size
        self.query = self.key = None
        if attention_size is not None:
            self.query = HeadLinear(query_size, attention_size, heads, bias=False)
            self.key = HeadLinear(key_size, attention_size, heads, bias=False)

    @classmethod
    def refusal(cls, query_size: int, key_size: int) -> str | None:
        if query_size != key_size:
            return f"dot needs equal sizes, queries have {query_size} and keys {key_size}"
        return None

    @classmethod
    def build(
        cls, query_size: int, key_size: int, heads: int = 1, options: AttentionOptions | None = None
    ) -> Self:
        size: int | None = getattr(options, "attention_size", None)
        if size is not None:  # then sizes may differ
            return cls(query_size, key_size, heads, size)
        return super().build(query_size, key_size, heads, options)

    def project_keys(self, keys: Tensor) -> Tensor:
        if self.key is None:
            return split_heads(keys, self.heads)
        projected: Tensor = self.key(keys)
        return projected  # B,H,S,A

    def as_dot(self, query: Tensor) -> tuple[Tensor, float]:
        if self.query is None:
            return split_heads(query, self.heads), 1.0
        return self.query(query), 1.0  # B,H,T,A

"""Positions: sinusoids of absolute ones, and the kinds of relative position of self-attention.

In self-attention queries and keys are the same positions, so that their distance means something. A
kind of relative position is a part of a mechanism beside its score: it turns queries and keys, adds
to energies, or adds to the context. Offsets are o = s - t, key minus query: negative where the key
stands before the query. T queries and S keys have N = T+S-1 different offsets.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import Score


def sinusoids(start: int, length: int, like: Tensor) -> Tensor:
    """Sinusoidal encoding of the positions start .. start+length-1, as in the paper's code
    (tensor2tensor), of which section 3.5 of Vaswani 2017 is a simplification.

    The first half of the dimensions are sines, the second cosines (the paper's text has them in
    turn, which a permutation undoes). The wavelengths form a geometric progression from 2 pi to
    exactly 10000 * 2 pi: the exponents are i / (D/2 - 1), where the text has i / (D/2), so that
    values differ from the text's by up to a few tenths.

    Args:
        like: ...,D gives size, type and device.

    Returns:
        length,D.
    """
    size = like.shape[-1]
    half = (size + 1) // 2
    positions = torch.arange(start, start + length, device=like.device, dtype=torch.float32)
    exponents = torch.arange(half, device=like.device, dtype=torch.float32) / max(half - 1, 1)
    angles = positions[:, None] * torch.exp(exponents * -math.log(10_000.0))  # length,D/2
    return torch.cat((angles.sin(), angles.cos()), dim=1)[:, :size].to(like.dtype)


@dataclass(frozen=True)
class Span:
    """Queries first .. first+queries-1 over the keys 0 .. keys-1.

    Attributes:
        first: position of the first query.
        queries, keys: T and S.
    """

    first: int
    queries: int
    keys: int

    def offsets(self, device: torch.device) -> Tensor:
        """All offsets s - t, ascending: N int64."""
        start = -(self.first + self.queries - 1)
        return torch.arange(start, self.keys - self.first, device=device)

    def per_pair(self, values: Tensor) -> Tensor:
        """Values ...,T,N of a query's offsets (T may be 1, for all queries the same) as values
        ...,T,S of its pairs: result[t, s] = values[t, s - t + T-1], without gathering."""
        T, N = self.queries, self.queries + self.keys - 1
        wide = F.pad(values.expand(*values.shape[:-2], T, N), (0, 1))  # ...,T,N+1
        rows = wide.flatten(-2)[..., T - 1 : T - 1 + T * N]
        return rows.unflatten(-1, (T, N))[..., : self.keys]

    def per_offset(self, values: Tensor) -> Tensor:
        """Values ...,T,S of pairs as values ...,T,N of a query's offsets, 0 where there is no such
        key: the inverse of `per_pair`."""
        T, N = self.queries, self.queries + self.keys - 1
        flat = F.pad(values, (0, T - 1)).flatten(-2)  # ...,T*N
        return F.pad(flat, (T - 1, 1)).unflatten(-1, (T, N + 1))[..., :N]


class RelativePositions(nn.Module):
    """Base class of the kinds of relative position; as it stands, it changes nothing.

    Args:
        size: K, size of the vectors that the score multiplies; 0 if it multiplies none.
        heads: H.
        model_size: Q, size of all heads together.
        causal: whether no query sees keys after it.
    """

    #: True if it works on the vectors of an inner product: no other score will do.
    needs_dot: ClassVar[bool] = True
    #: True if `add_context` adds something, so that weights have to be formed.
    adds_context: ClassVar[bool] = False

    def __init__(self, size: int, heads: int, model_size: int, causal: bool) -> None:
        super().__init__()
        self.causal = causal

    def queries(self, vectors: Tensor, first: int) -> Tensor:
        """Queries B,H,T,K, the first at position `first`, as they are multiplied with keys."""
        return vectors

    def keys(self, vectors: Tensor, first: int) -> Tensor:
        """Keys B,H,N,K, the first at position `first`, as they are multiplied with queries."""
        return vectors

    def bias(self, vectors: Tensor | None, factor: float, span: Span) -> Tensor | None:
        """What is added to the energies, broadcastable to B,H,T,S, or None.

        Args:
            vectors: B,H,T,K, the queries as the score has them; None unless it is an inner product.
            factor: what the score multiplies its inner products by.
        """
        return None

    def add_context(self, context: Tensor, weights: Tensor, span: Span) -> Tensor:
        """The context B,T,H*V with what the weights B,H,T,S add to it."""
        return context

    def energies(self, score: Score, query: Tensor, keys: Tensor, first: int) -> Tensor:
        """Energies B,H,T,S of queries B,T,Q, the first at position `first`, and projected keys
        B,H,S,K that went through `keys`."""
        dot = score.as_dot(query)
        span = Span(first, query.shape[1], keys.shape[2])
        if dot is None:
            energies, bias = score(query, keys), self.bias(None, 1.0, span)
        else:
            vectors, factor = dot
            energies = (self.queries(vectors, first) * factor) @ keys.transpose(-1, -2)
            bias = self.bias(vectors, factor, span)
        return energies if bias is None else energies + bias

    def for_kernel(
        self, vectors: Tensor, factor: float, keys: Tensor, mask: Tensor | None, first: int
    ) -> tuple[Tensor, Tensor | None]:
        """Queries and mask for torch's fused kernel: positions become a mask of floats."""
        span = Span(first, vectors.shape[2], keys.shape[2])
        bias = self.bias(vectors, factor, span)
        if bias is not None:
            bias = bias.to(vectors.dtype)
            mask = bias if mask is None else torch.where(mask, bias, float("-inf"))
        return self.queries(vectors, first), mask


class ShawPositions(RelativePositions):
    """Vectors of clipped offsets for keys and values (Shaw 2018, equations 3 and 4):
    e_ts = q_t . (k_s + a^K_o) / sqrt(d) and c_t = sum_s w_ts (v_s + a^V_o), o = s - t clipped to
    -k .. k.

    Vectors are shared by the heads of a layer, as in the paper.

    Args:
        value_size: V, size of a head's values.
        max_distance: k.
    """

    adds_context = True

    def __init__(
        self,
        size: int,
        heads: int,
        model_size: int,
        causal: bool,
        *,
        value_size: int,
        max_distance: int,
    ) -> None:
        super().__init__(size, heads, model_size, causal)
        self.max_distance = max_distance
        self.of_keys = nn.Parameter(torch.empty(2 * max_distance + 1, size))
        self.of_values = nn.Parameter(torch.empty(2 * max_distance + 1, value_size))
        nn.init.xavier_uniform_(self.of_keys)
        nn.init.xavier_uniform_(self.of_values)

    def bias(self, vectors: Tensor | None, factor: float, span: Span) -> Tensor:
        assert vectors is not None
        table = self.of_keys[self._clipped(span)]  # N,K
        return span.per_pair(vectors * factor @ table.T)  # B,H,T,S

    def add_context(self, context: Tensor, weights: Tensor, span: Span) -> Tensor:
        table = self.of_values[self._clipped(span)]  # N,V
        added = span.per_offset(weights.to(table.dtype)) @ table  # B,H,T,V
        return context + added.transpose(1, 2).flatten(-2)

    def _clipped(self, span: Span) -> Tensor:
        """The row of each offset, N."""
        k = self.max_distance
        return span.offsets(self.of_keys.device).clamp(-k, k) + k


def t5_bucket(offsets: Tensor, buckets: int, max_distance: int, causal: bool) -> Tensor:
    """The bucket of each offset, int64 (Raffel 2020, section 2.1 and the authors' code).

    Half of the buckets hold one distance each, the other half distances up to `max_distance` on a
    logarithmic scale, and the last all beyond. Without causality half of them all are for keys
    after the query.
    """
    after = torch.zeros_like(offsets)
    if causal:
        distance = (-offsets).clamp_min(0)
    else:
        buckets //= 2
        after = (offsets > 0).long() * buckets
        distance = offsets.abs()
    exact = buckets // 2
    far = (distance.clamp_min(1).float() / exact).log() / math.log(max_distance / exact)
    far = exact + (far * (buckets - exact)).long()
    return after + torch.where(distance < exact, distance, far.clamp_max(buckets - 1))


class T5Positions(RelativePositions):
    """A learned number per head and bucket of offsets, added to the energies (Raffel 2020, section
    2.1): e_ts + b_{h, bucket(s - t)}. Every layer has its own here, all share one in the paper.
    """

    needs_dot = False
    BUCKETS: ClassVar[int] = 32
    MAX_DISTANCE: ClassVar[int] = 128

    def __init__(self, size: int, heads: int, model_size: int, causal: bool) -> None:
        super().__init__(size, heads, model_size, causal)
        self.biases = nn.Parameter(torch.empty(heads, self.BUCKETS))
        nn.init.normal_(self.biases, std=model_size**-0.5)

    def bias(self, vectors: Tensor | None, factor: float, span: Span) -> Tensor:
        offsets = span.offsets(self.biases.device)
        bucket = t5_bucket(offsets, self.BUCKETS, self.MAX_DISTANCE, self.causal)  # N
        return span.per_pair(self.biases[:, bucket][:, None])  # H,T,S


def alibi_slopes(heads: int) -> list[float]:
    """The slopes of Press 2022, section 3: 2^(-8h/H), h = 1 .. H. Where H is no power of 2, those
    of the next smaller power, and then every other one of twice that power (the authors' code)."""
    power = 2 ** math.floor(math.log2(heads))
    slopes = [2 ** (-8 * h / power) for h in range(1, power + 1)]
    return slopes + [2 ** (-4 * h / power) for h in range(1, 2 * power, 2)][: heads - power]


class AlibiPositions(RelativePositions):
    """A penalty that grows with distance, nothing learned (Press 2022, section 3):
    e_ts - m_h |s - t|. The paper is about causal attention; where keys after the query are seen,
    the penalty is the same on both sides."""

    needs_dot = False
    slopes: Tensor

    def __init__(self, size: int, heads: int, model_size: int, causal: bool) -> None:
        super().__init__(size, heads, model_size, causal)
        self.register_buffer("slopes", torch.tensor(alibi_slopes(heads)), persistent=False)

    def bias(self, vectors: Tensor | None, factor: float, span: Span) -> Tensor:
        distance = span.offsets(self.slopes.device).abs().to(torch.float32)
        return span.per_pair(-self.slopes[:, None, None] * distance)  # H,T,S


class RotaryPositions(RelativePositions):
    """Queries and keys are turned by angles that grow with their position (Su 2021, equations 14
    and 15), so that products depend on offsets: dimensions 2i and 2i+1 (from 0) of position t by
    t 10000^(-2i/K). An odd last dimension is not turned."""

    def queries(self, vectors: Tensor, first: int) -> Tensor:
        return self._turned(vectors, first)

    def keys(self, vectors: Tensor, first: int) -> Tensor:
        return self._turned(vectors, first)

    @staticmethod
    def _turned(vectors: Tensor, first: int) -> Tensor:
        count, size = vectors.shape[-2:]
        even = size // 2 * 2
        wide = torch.promote_types(vectors.dtype, torch.float32)
        places = torch.arange(first, first + count, device=vectors.device, dtype=wide)
        rates = torch.arange(0, even, 2, device=vectors.device, dtype=wide) / even
        angles = places[:, None] * 10_000.0**-rates  # N,K/2
        cos, sin = angles.cos().to(vectors.dtype), angles.sin().to(vectors.dtype)
        one, other = vectors[..., 0:even:2], vectors[..., 1:even:2]  # B,H,N,K/2
        turned = torch.stack((one * cos - other * sin, one * sin + other * cos), -1).flatten(-2)
        return turned if even == size else torch.cat((turned, vectors[..., even:]), -1)


class TransformerXLPositions(RelativePositions):
    """Content and position biases, and sinusoids of the distance (Dai 2019, section 3.3):
    e_ts = [(q_t + u) . k_s + (q_t + v) . W_R r_{t-s}] / sqrt(d). u, v, W_R belong to a layer. Keys
    after the query have negative distances."""

    def __init__(self, size: int, heads: int, model_size: int, causal: bool) -> None:
        super().__init__(size, heads, model_size, causal)
        self.heads, self.model_size = heads, model_size
        self.content = nn.Parameter(torch.empty(heads, size))  # u
        self.position = nn.Parameter(torch.empty(heads, size))  # v
        self.of_distance = nn.Parameter(torch.empty(heads * size, model_size))  # W_R
        for parameter in (self.content, self.position, self.of_distance):
            nn.init.xavier_uniform_(parameter)

    def queries(self, vectors: Tensor, first: int) -> Tensor:
        return vectors + self.content[:, None]

    def bias(self, vectors: Tensor | None, factor: float, span: Span) -> Tensor:
        assert vectors is not None
        like = self.of_distance
        count = span.queries + span.keys - 1
        waves = sinusoids(span.first - span.keys + 1, count, like).flip(0)  # N,Q of t - s
        table = F.linear(waves, like).unflatten(-1, (self.heads, -1)).permute(1, 2, 0)  # H,K,N
        asked = (vectors + self.position[:, None]) * factor  # B,H,T,K
        return span.per_pair(asked @ table)  # B,H,T,S


#: The kinds that an option can name, beside "none".
KINDS: dict[str, type[RelativePositions]] = {
    "shaw": ShawPositions,
    "t5": T5Positions,
    "alibi": AlibiPositions,
    "rope": RotaryPositions,
    "transformer-xl": TransformerXLPositions,
}

"""Heads: vectors cut into parts that attend on their own. And their options: how many keys and
values they share, how they are normalised before they are compared, and what happens to energies,
weights and contexts of all heads together."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from bench.attention.base import AttentionOptions, Normaliser, StepwiseNormaliser, WeightsKind
from bench.attention.registries import normalisers, scores
from bench.errors import UsageError


def split_heads(vectors: Tensor, heads: int) -> Tensor:
    """Split vectors B,N,D into heads B,H,N,D/H; a view."""
    if heads == 1:
        return vectors.unsqueeze(1)
    return vectors.unflatten(-1, (heads, -1)).transpose(1, 2)


def merge_heads(vectors: Tensor) -> Tensor:
    """Concatenate heads B,H,N,D to B,N,H*D; undoes `split_heads`."""
    if vectors.shape[1] == 1:
        return vectors.squeeze(1)
    return vectors.transpose(1, 2).flatten(-2)


def mean_over_heads(weights: Tensor) -> Tensor:
    """Mean of the weights B,H,T,S over heads: B,T,S."""
    return weights[:, 0] if weights.shape[1] == 1 else weights.mean(1)


def per_head(weights: Tensor) -> dict[str, Tensor]:
    """The weights B,H,T,S of each head, B,T,S, under the names of traces ("head 1", ...); none
    where there is one head only."""
    if weights.shape[1] == 1:
        return {}
    return {f"head {number}": head for number, head in enumerate(weights.unbind(1), 1)}


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


class HeadOptions(AttentionOptions):
    """Options of the heads of a mechanism; all are off by default."""

    key_value_heads: int | None = Field(
        None,
        ge=1,
        description="heads share keys and values: so many of these (grouped-query attention, "
        "Ainslie 2023), 1 for all (multi-query attention, Shazeer 2019); one per head if unset",
    )
    query_key_norm: Literal["none", "l2", "rms"] = Field(
        "none",
        description="queries and keys of a head are normalised before their product: to length 1 "
        "with a learned factor (Henry 2020), or to a root mean square of 1 with learned scales",
    )
    talking_heads: bool = Field(
        False, description="energies and weights are mixed across heads (Shazeer 2020)"
    )
    sink: bool = Field(
        False,
        description="a learned energy per head takes part in normalising and has no value: weights "
        "may sum to less than 1",
    )
    differential: bool = Field(
        False, description="weights are the difference of two distributions (Ye 2024)"
    )
    differential_start: float = Field(
        0.8, gt=0, lt=1, description="lambda of differential attention before training"
    )
    output_gate: Literal["none", "head", "element"] = Field(
        "none",
        description="a sigmoid of the query scales what each head found, or each element of it "
        "(Qiu 2025)",
    )


def score_heads(heads: int, options: AttentionOptions) -> int:
    """Number of heads that are scored: two for each that is a difference."""
    return 2 * heads if getattr(options, "differential", False) else heads


def weights_kind(options: AttentionOptions) -> WeightsKind:
    """What the weights are that the normaliser and the heads of these options make."""
    if isinstance(options, HeadOptions):
        if options.differential or options.talking_heads:
            return "signed"
        if options.sink:
            return "sub-distribution"
    return normalisers.get(options.normaliser, where="normaliser").weights_kind


def refusal_of_heads(options: HeadOptions, score: str) -> str | None:
    """Why these options mean nothing together or with that score, or None."""
    normaliser = normalisers.get(options.normaliser, where="normaliser")
    kind = scores.get(score)
    if isinstance(normaliser, StepwiseNormaliser) and (
        options.sink or options.talking_heads or options.differential
    ):
        return (
            f"{options.normaliser} counts the weights that it makes; sink, talking_heads and "
            "differential would change them afterwards"
        )
    if options.sink and normaliser.weights_kind != "distribution":
        return f"a sink takes its share of a sum, which {options.normaliser} does not fix"
    if options.differential:
        if normaliser.weights_kind != "distribution":
            return f"differential takes two distributions, {options.normaliser} makes none"
        if options.talking_heads:
            return "differential and talking_heads both mix weights; choose one"
        if kind.reads:
            return (
                f"{score} reads one row of previous weights per head; differential scores two heads"
            )
    if options.query_key_norm != "none" and not kind.products:
        return f"query_key_norm bounds a product; {score} is none, or has bounds already"
    return None


def share_groups(vectors: Tensor, groups: int, heads: int) -> Tensor:
    """Give every head the vector of its group: ...,G*d to ...,H*d; neighbouring heads share."""
    if groups == heads:
        return vectors
    parts = vectors.unflatten(-1, (groups, -1))  # ...,G,d
    return parts.repeat_interleave(heads // groups, dim=-2).flatten(-2)


def count_groups(heads: int, options: AttentionOptions) -> int:
    """Number of heads that keys and values have. Raises UsageError where they do not share out."""
    groups: int | None = getattr(options, "key_value_heads", None)
    if groups is None:
        return heads
    if heads % groups:
        raise UsageError(
            f"{heads} heads cannot share the keys and values of {groups}",
            where="key_value_heads",
            remedy="choose a divisor of the number of heads",
        )
    return groups


class HeadNorm(nn.Module):
    """Normalises each head's part of vectors B,N,H*d, queries or keys.

    "l2" makes it a unit vector (Henry 2020, section 2.1); queries are then multiplied by a learned
    g, in place of 1/sqrt(d). The paper starts g at log2(L^2 - L) with L the length of long sources:
    about `START` for thirty words. "rms" divides by the root of the mean square and multiplies by a
    learned vector.

    Args:
        size: H*d.
    """

    START = 10.0

    def __init__(
        self, kind: Literal["l2", "rms"], size: int, heads: int, *, of_query: bool
    ) -> None:
        super().__init__()
        self.heads = heads
        self.unit = kind == "l2"
        self.scale: nn.Parameter | None = None
        if not self.unit:
            self.scale = nn.Parameter(torch.ones(size // heads))
        elif of_query:
            self.scale = nn.Parameter(torch.tensor(self.START))

    def forward(self, vectors: Tensor) -> Tensor:
        parts = vectors.unflatten(-1, (self.heads, -1))  # B,N,H,d
        if self.unit:
            parts = F.normalize(parts, dim=-1)
        else:
            parts = F.rms_norm(parts, parts.shape[-1:], eps=1e-6)
        return (parts if self.scale is None else parts * self.scale).flatten(-2)


class Sink(nn.Module, Normaliser):
    """One more energy per head, learned from 0, that takes weight and has no value: a head that
    finds nothing need not attend (Xiao 2024, section 3.3 and appendix; Miller 2023 keeps it 0)."""

    weights_kind: WeightsKind = "sub-distribution"

    def __init__(self, inner: Normaliser, heads: int) -> None:
        super().__init__()
        self.inner = inner
        self.energy = nn.Parameter(torch.zeros(heads))

    def forward(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        own = self.energy.to(scores.dtype).view(-1, *[1] * (scores.dim() - 2))  # H,1,1
        scores = torch.cat([scores, own.expand(*scores.shape[:-1], 1)], -1)  # B,H,T,S+1
        mask = None if mask is None else F.pad(mask, (0, 1), value=True)
        weights: Tensor = self.inner(scores, mask)
        return weights[..., :-1]


class TalkingHeads(nn.Module, Normaliser):
    """Energies and weights mixed across heads by two learned matrices (Shazeer 2020, section 4).

    Both start as the identity, which is attention whose heads do not talk.
    """

    weights_kind: WeightsKind = "signed"

    def __init__(self, inner: Normaliser, heads: int) -> None:
        super().__init__()
        self.inner = inner
        self.energies = nn.Parameter(torch.eye(heads))
        self.weights = nn.Parameter(torch.eye(heads))

    def forward(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        mixed = torch.einsum("bhts,hk->bkts", scores, self.energies.to(scores.dtype))
        weights: Tensor = self.inner(mixed, mask)
        return torch.einsum("bhts,hk->bkts", weights, self.weights.to(weights.dtype))


class Difference(nn.Module, Normaliser):
    """Energies B,2H,T,S to weights B,H,T,S: the first of two distributions minus lambda times the
    second (Ye 2024, equations 1 and 2).

    lambda = exp(q1 . k1) - exp(q2 . k2) + start, with four learned vectors of a head's size that
    all heads of a layer share. The paper's `start` grows with the depth of a layer; a constant 0.8
    does as well there (section 3.8).
    """

    weights_kind: WeightsKind = "signed"

    def __init__(self, inner: Normaliser, size: int, start: float) -> None:
        super().__init__()
        self.inner = inner
        self.start = start
        self.vectors = nn.Parameter(0.1 * torch.randn(4, size))  # q1, k1, q2, k2

    def factor(self) -> Tensor:
        """lambda."""
        q1, k1, q2, k2 = self.vectors.to(torch.promote_types(self.vectors.dtype, torch.float32))
        return (q1 @ k1).exp() - (q2 @ k2).exp() + self.start

    def forward(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        pairs = self.inner(scores, mask).unflatten(1, (-1, 2))  # B,H,2,T,S
        return pairs[:, :, 0] - self.factor().to(pairs.dtype) * pairs[:, :, 1]


class HeadOutput(nn.Module):
    """What becomes of contexts B,T,H*V before heads are projected together.

    Differential attention normalises each head's part to a root mean square of 1, with learned
    scales, and multiplies it by 1 - start (Ye 2024, equation 3). The gate multiplies it by
    sigmoid(W h), a number per head or per element (Qiu 2025, section 2.2: after the attention,
    from the query's own state h, no bias).
    """

    def __init__(
        self, query_size: int, context_size: int, heads: int, options: HeadOptions
    ) -> None:
        super().__init__()
        self.heads = heads
        self.scale: nn.Parameter | None = None
        self.gate: nn.Linear | None = None
        self.factor = 1 - options.differential_start
        if options.differential:
            self.scale = nn.Parameter(torch.ones(context_size // heads))
        if options.output_gate != "none":
            gates = heads if options.output_gate == "head" else context_size
            self.gate = nn.Linear(query_size, gates, bias=False)

    def forward(self, context: Tensor, query: Tensor) -> Tensor:
        parts = context.unflatten(-1, (self.heads, -1))  # B,T,H,V
        if self.scale is not None:
            parts = F.rms_norm(parts, parts.shape[-1:], eps=1e-5) * self.scale * self.factor
        if self.gate is not None:
            parts = parts * torch.sigmoid(self.gate(query)).unflatten(-1, (self.heads, -1))
        return parts.flatten(-2)


def make_normaliser(heads: int, size: int, options: AttentionOptions) -> Normaliser:
    """Build the normaliser that the options name, with what heads do around it.

    Args:
        heads: H.
        size: H*d, size of what is compared.

    Raises:
        UsageError: an unknown normaliser, or one head that has none to talk to.
    """
    plain = normalisers.get(options.normaliser, where="normaliser")
    scored = score_heads(heads, options)
    normaliser = plain.for_heads(scored, options)
    if not isinstance(options, HeadOptions):
        return normaliser
    if options.sink:
        normaliser = Sink(normaliser, scored)
    if options.talking_heads:
        if heads == 1:
            raise UsageError(
                "one head has no other to talk to",
                where="talking_heads",
                remedy="set heads=4, or another number above 1",
            )
        normaliser = TalkingHeads(normaliser, heads)
    if options.differential:
        normaliser = Difference(normaliser, size // scored, options.differential_start)
    return normaliser

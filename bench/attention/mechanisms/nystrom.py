"""Softmax attention by landmarks."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field, field_validator
from torch import Tensor, nn

from bench.attention import Backbone
from bench.attention.attention import ScoredAttention, ScoreOptions
from bench.attention.base import (
    AttentionOutput,
    AttentionState,
    Keys,
    Sizes,
    Slot,
)
from bench.attention.heads import mean_over_heads, merge_heads, per_head
from bench.attention.registries import attentions, no_previous_step


class NystromOptions(ScoreOptions):
    landmarks: int = Field(16, ge=1, description="landmarks of a sequence; the paper has 64")
    pinv_iterations: int = Field(6, ge=1, description="iterations of the pseudoinverse")
    value_kernel: int = Field(
        0,
        ge=0,
        description="width in positions of the paper's convolution of the values, one filter per "
        "head, that is added to what attention finds; odd, 0 for none",
    )

    @field_validator("value_kernel")
    @classmethod
    def _odd(cls, value: int) -> int:
        if value and value % 2 == 0:
            raise ValueError("a convolution centred on a position has an odd width")
        return value


def segments(mask: Tensor, landmarks: int) -> Tensor:
    """Shares B,m,S of positions in landmarks: each landmark is the mean of a segment of the real
    positions of the mask B,S; segments are as equal as can be, and shares 0 for landmarks beyond
    the length."""
    lengths = mask.sum(1, keepdim=True)  # B,1
    count = lengths.clamp_max(landmarks)
    place = mask.cumsum(1) - 1
    owner = (place * count).div(lengths, rounding_mode="floor")  # B,S
    numbers = torch.arange(landmarks, device=mask.device)[:, None]
    inside = (owner[:, None] == numbers) & mask[:, None]  # B,m,S
    return inside / inside.sum(-1, keepdim=True).clamp_min(1)


def pseudoinverse(matrix: Tensor, iterations: int) -> Tensor:
    """The Moore-Penrose pseudoinverse of ...,m,m by the cubic iteration of Xiong 2021, equation 11:
    Z <- Z/4 (13 I - A Z (15 I - A Z (7 I - A Z))), from Z = A^T / (|A|_1 |A|_inf)."""
    rows, columns = matrix.abs().sum(-1).amax(-1), matrix.abs().sum(-2).amax(-1)
    inverse = matrix.transpose(-1, -2) / (rows * columns)[..., None, None]
    eye = torch.eye(matrix.shape[-1], dtype=matrix.dtype, device=matrix.device)
    for _ in range(iterations):
        product = matrix @ inverse
        inner = 15 * eye - product @ (7 * eye - product)
        inverse = inverse / 4 @ (13 * eye - product @ inner)
    return inverse


@attentions.register("nystrom")
class NystromAttention(ScoredAttention):
    """The Nystroem approximation of softmax attention (Xiong 2021, equation 14):

        softmax(Q K~^T / sqrt(d)) pinv(softmax(Q~ K~^T / sqrt(d))) softmax(Q~ K^T / sqrt(d)) V,

    Q~ and K~ the means of m segments of the real queries and keys. It takes whole sequences, so it
    stands in the encoder's self-attention; elsewhere attention is that of `self`. With no more
    positions than landmarks it is softmax attention, as nearly as the pseudoinverse comes.

    With a `value_kernel` a convolution of the values along the positions, with one filter per head,
    is added to the context of each head (figure 2). Off by default, so that attention
    is all that differs from `self`; no weights show what it adds.

    The matrix it stands for may have negative entries, and its rows sum to 1 only as nearly as the
    pseudoinverse comes: its weights are signed. They are formed where they are asked for.
    """

    summary = "landmarks in the encoder's self-attention: cost linear in the length"
    citation = "Xiong 2021"
    backbone = "transformer"
    slots: ClassVar[frozenset[Slot]] = frozenset({"encoder"})
    classic_score = "scaled-dot"
    heads_of_backbone = True
    Options = NystromOptions

    def __init__(self, sizes: Sizes, score: str, options: NystromOptions) -> None:
        super().__init__(sizes, score, options)
        self.landmarks, self.iterations = options.landmarks, options.pinv_iterations
        self.approximates = sizes.slot == "encoder"
        self.convolution: nn.Conv2d | None = None
        if self.approximates:
            self.weights_kind = "signed"
            if options.value_kernel:
                width = options.value_kernel
                self.convolution = nn.Conv2d(
                    self.heads,
                    self.heads,
                    (width, 1),
                    padding=(width // 2, 0),
                    groups=self.heads,
                    bias=False,
                )

    @classmethod
    def refusal(cls, score: str, backbone: Backbone) -> str | None:
        if backbone != "transformer":
            return "it stands in the encoder's self-attention, which takes a Transformer"
        return no_previous_step("nystrom", score) or super().refusal(score, backbone)

    def _attend(
        self,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        mask: Tensor | None,
        need_weights: bool,
        given: Tensor | None = None,
    ) -> AttentionOutput:
        if not self.approximates:
            return super()._attend(query, keys, state, mask, need_weights, given)
        real = keys.memory.mask
        assert query.shape[1] == real.shape[1], "landmarks are means over whole sequences"
        shares = segments(real, self.landmarks)  # B,m,S
        some = shares.sum(-1) > 0  # B,m
        few = some[:, None, None]  # B,1,1,m
        # Landmarks of the queries and of the keys.
        asked = self.project_query(query)  # B,S,Q
        few_asked = shares.to(asked.dtype) @ asked.masked_fill(~real[..., None], 0.0)  # B,m,Q
        table = keys.tensors["keys"]  # B,H,S,K
        few_keys = shares[:, None].to(table.dtype) @ table  # B,H,m,K
        # Three softmaxes in place of one.
        left = self.normaliser(self.scaled(self.score(asked, few_keys)), few)  # B,H,S,m
        middle = self.normaliser(self.scaled(self.score(few_asked, few_keys)), few)  # B,H,m,m
        right = self.normaliser(self.scaled(self.score(few_asked, table)), mask)  # B,H,m,S
        # Landmarks beyond the length: rows and columns of the unit matrix, which change no other.
        unit = torch.eye(self.landmarks, dtype=middle.dtype, device=middle.device)
        inverse = pseudoinverse(
            torch.where(some[:, None, :, None], middle, unit), self.iterations
        )  # B,H,m,m
        mixing = left @ inverse  # B,H,S,m
        values = keys.tensors["values"]
        found = mixing.to(values.dtype) @ (right.to(values.dtype) @ values)  # B,H,S,V
        if self.convolution is not None:
            found = found + self.convolution(values.masked_fill(~real[:, None, :, None], 0.0))
        context = merge_heads(found)
        after = AttentionState(state.position + query.shape[1], state.tensors)
        finished = self.finish(context, query, keys)
        if not need_weights:
            return AttentionOutput(finished, after)
        weights = mixing @ right  # B,H,S,S
        return AttentionOutput(finished, after, mean_over_heads(weights), per_head(weights))

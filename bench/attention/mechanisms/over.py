"""Attention over attention."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from bench.attention import Backbone
from bench.attention.attention import AttentionWeights, ScoredAttention, ScoredOptions
from bench.attention.base import (
    AttentionOptions,
    AttentionOutput,
    AttentionState,
    Keys,
    Sizes,
)
from bench.attention.chunking import in_chunks
from bench.attention.registries import attentions, no_previous_step, normalisers


class OverOptions(ScoredOptions):
    causal: bool = Field(
        True, description="rows are the target prefix only; false takes the full pair matrix"
    )


@attentions.register("over")
class AttentionOverAttention(ScoredAttention):
    """Both softmaxes of the matrix of energies M between target and source (Cui 2017, 3.2-3.3).

    alpha_j is normalised over the source for target row j; beta_s over the rows for source
    position s. The weights are sum_j mean_s(beta_s)_j alpha_j. In generation row t sees the rows
    up to t only, which the paper, reading a whole query, need not ask for; with `causal` off all
    rows count and every row has the paper's one vector of weights.

    The state carries the energies and alphas of the prefix.
    """

    summary = "attention over attention: column-wise and row-wise softmax of the pair matrix"
    citation = "Cui 2017"
    placement = "current-state"
    classic_score = "dot"
    normalises_apart = True
    Options = OverOptions

    def __init__(self, sizes: Sizes, score: str, options: OverOptions) -> None:
        super().__init__(sizes, score, options)
        self.prefix_only, self.needs_future = options.causal, not options.causal

    @classmethod
    def refusal(cls, score: str, backbone: Backbone) -> str | None:
        return no_previous_step("over", score)

    @classmethod
    def refusal_of_options(
        cls, options: AttentionOptions, score: str, backbone: Backbone
    ) -> str | None:
        normaliser = normalisers.get(options.normaliser, where="normaliser")
        if isinstance(normaliser, nn.Module) and getattr(options, "heads", 1) > 1:
            return f"it normalises one head at a time, {options.normaliser} all of them"
        return super().refusal_of_options(options, score, backbone)

    def initial_state(self, keys: Keys) -> AttentionState:
        values = keys.tensors["values"]  # B,H,S,V
        empty = values.new_zeros(len(values), self.heads, 0, values.shape[2])  # B,H,0,S
        rows = torch.zeros(len(values), 0, dtype=torch.bool, device=values.device)
        return AttentionState(0, {"energies": empty, "alphas": empty, "rows": rows})

    def forward(
        self,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        *,
        need_weights: bool = True,
        query_mask: Tensor | None = None,
    ) -> AttentionOutput:
        """Attend as in the base class, with rows of the matrix left out.

        Args:
            query_mask: B,T bool, True where a query is real; others are no rows of the matrix.
                None if all are. The first row of every example must be real.
        """
        every = query.new_ones(query.shape[:2], dtype=torch.bool)
        new = every if query_mask is None else query_mask
        rows = torch.cat([state.tensors["rows"], new], 1)  # B,P
        state = AttentionState(state.position, {**state.tensors, "rows": rows})
        return super().forward(query, keys, state, need_weights=need_weights)

    def weigh(
        self,
        energies: Tensor,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        mask: Tensor | None,
    ) -> AttentionWeights:
        before = state.tensors
        # The matrix of energies, and its row-wise softmax, with the rows before.
        alphas = torch.cat([before["alphas"], self.normaliser(energies, mask)], 2)  # B,H,P,S
        matrix = torch.cat([before["energies"], energies], 2)  # B,H,P,S
        # The mean of its column-wise softmax weights the rows.
        rows, real, T = before["rows"], keys.memory.mask, query.shape[1]
        betas = [self._row_weights(head, rows, real, T) for head in matrix.unbind(1)]  # B,T,P each
        weights = torch.stack(betas, 1).to(alphas.dtype) @ alphas  # B,H,T,S
        return AttentionWeights(weights, {"energies": matrix, "alphas": alphas})

    def _row_weights(self, matrix: Tensor, rows: Tensor, real: Tensor, steps: int) -> Tensor:
        """Mean of beta over real source positions: B,T,P of the matrix B,P,S of one head."""
        B, P, S = matrix.shape
        columns = matrix.transpose(1, 2)[:, None]  # B,1,S,P
        seen = rows[:, None].expand(B, steps, P)  # B,T,P
        if self.prefix_only:
            row = torch.arange(P, device=matrix.device)
            seen = seen & (row <= row[P - steps :, None])
        precise = torch.float64 if matrix.dtype == torch.float64 else torch.float32
        share = real.to(precise) / real.sum(1, keepdim=True)  # B,S

        def mean_beta(seen: Tensor) -> Tensor:
            T = seen.shape[1]
            beta = self.normaliser(columns.expand(B, T, S, P), seen[:, :, None])  # B,T,S,P
            return torch.einsum("btsp,bs->btp", beta.to(precise), share)

        return in_chunks(mean_beta, seen, dim=1, row_size=B * S * P)

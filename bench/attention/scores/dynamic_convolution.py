"""The score of convolved previous weights, with filters made from the query."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import NOTHING, Remembered, Score
from bench.attention.heads import HeadLinear
from bench.attention.registries import scores
from bench.attention.scores.location_aware import centred_windows

#: Smallest prior probability, so that its logarithm is finite (Battenberg 2020).
FLOOR = 1e-6
#: The prior's beta-binomial: with 11 positions attention moves on by 10 x 0.1 / (0.1 + 0.9) = 1
#: position a step on average.
ALPHA, BETA = 0.1, 0.9


@scores.register("dynamic-convolution")
class DynamicConvolution(Score):
    """e = v . tanh(U f + T g + b) + p (Battenberg 2020, section 2.3), with

        f = F * previous, static filters;
        g = G(h) * previous, filters made from the query: G(h) = V_G tanh(W_G h + b_G);
        p = log(P * previous), the prior of moving on by 0, 1, 2, ... positions.

    Only places are compared, never contents: attention moves along the source, and the query says
    how. F and G are `location_filters` filters of width `location_kernel` (8 of 21 in the paper);
    static ones are shared by the heads. P is a beta-binomial over 0 to `prior_length` - 1
    positions forwards.
    """

    summary = "previous weights, convolved with static and query-made filters, and a forward prior"
    formula = "v . tanh(U (F * previous) + T (G(h) * previous)) + log(P * previous)"
    citation = "Battenberg 2020"
    reads: frozenset[Remembered] = frozenset({"previous"})
    option_names = ("attention_size", "location_filters", "location_kernel", "prior_length")
    prior: Tensor

    def __init__(
        self,
        query_size: int,
        key_size: int,
        heads: int = 1,
        attention_size: int | None = None,
        location_filters: int = 10,
        location_kernel: int = 15,
        prior_length: int = 11,
    ) -> None:
        super().__init__(query_size, key_size, heads)
        size = attention_size or key_size // heads
        bound = 1 / math.sqrt(size)
        self.filters, self.width = location_filters, location_kernel
        self.convolution = nn.Conv1d(
            1, location_filters, location_kernel, padding=location_kernel // 2, bias=False
        )
        self.static = nn.Linear(location_filters, size)
        self.query = HeadLinear(query_size, size, heads)
        self.kernels = HeadLinear(
            heads * size, location_filters * location_kernel, heads, bias=False
        )
        self.dynamic = nn.Linear(location_filters, size, bias=False)
        self.vector = nn.Parameter(torch.empty(heads, size).uniform_(-bound, bound))
        moves = torch.tensor(beta_binomial(prior_length), dtype=torch.float32)
        self.register_buffer("prior", moves, persistent=False)  # P

    def project_keys(self, keys: Tensor) -> Tensor:
        B, S = keys.shape[:2]
        return keys.new_zeros(B, self.heads, S, 1)  # contents have no part in it

    def forward(
        self, query: Tensor, projected: Tensor, remembered: Mapping[str, Tensor] = NOTHING
    ) -> Tensor:
        assert query.shape[1] == 1, "dynamic-convolution goes step by step"
        previous = remembered["previous"]  # B,H,S
        windows = centred_windows(previous, self.width)  # B,H,S,width
        # Static filters: U F in one product over windows.
        kernel = self.static.weight @ self.convolution.weight.squeeze(1)  # A,width
        hidden = F.linear(windows.to(kernel.dtype), kernel, self.static.bias)  # B,H,S,A
        # Dynamic filters, made from the query.
        asked = torch.tanh(self.query(query))  # B,H,1,A
        made = self.kernels(asked.transpose(1, 2).flatten(2))  # B,H,1,filters*width
        made = made.view(*made.shape[:2], self.filters, self.width)
        hidden = hidden + self.dynamic(windows.to(made.dtype) @ made.transpose(-1, -2))  # B,H,S,A
        energies = torch.tanh(hidden) @ self.vector[..., None]  # B,H,S,1
        # Prior: what moves forwards from where attention lay.
        behind = F.pad(previous, (len(self.prior) - 1, 0)).unfold(2, len(self.prior), 1)  # B,H,S,P
        prior = (behind.to(self.prior.dtype) @ self.prior.flip(0)).clamp_min(FLOOR).log()  # B,H,S
        return energies.transpose(-1, -2) + prior[:, :, None]  # B,H,1,S


def beta_binomial(size: int, alpha: float = ALPHA, beta: float = BETA) -> list[float]:
    """Probabilities of 0 to size - 1 successes in size - 1 draws whose chance is beta-distributed:
    (n over k) B(k + alpha, n - k + beta) / B(alpha, beta)."""
    n = size - 1

    def log_beta(a: float, b: float) -> float:
        return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)

    return [
        math.comb(n, k) * math.exp(log_beta(k + alpha, n - k + beta) - log_beta(alpha, beta))
        for k in range(n + 1)
    ]

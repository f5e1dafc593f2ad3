"""Hard monotonic attention; what it shares with `mocha` and `stepwise-monotonic`."""

from __future__ import annotations

from abc import abstractmethod

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from bench.attention.attention import (
    AttentionWeights,
    ScoredAttention,
    ScoredOptions,
    first_position,
)
from bench.attention.base import (
    AttentionState,
    Keys,
    Sizes,
    WeightsKind,
)
from bench.attention.registries import attentions
from bench.attention.scores.concat import Concat


class MonotonicOptions(ScoredOptions):
    energy_noise: float = Field(
        1.0,
        ge=0,
        description="deviation of the noise added to energies in training, which makes the model "
        "choose probabilities near 0 and 1",
    )
    bias: float = Field(
        -1.0,
        description="r of the energies at the start: the lower, the further attention moves in a "
        "step (by some exp(-r) positions)",
    )
    hard_at_test: bool = Field(
        True, description="false keeps the expectation of training at test as well"
    )


class MonotonicSteps(ScoredAttention):
    """Base of the mechanisms that decide at positions, one after the other, and never go back.

    The decision at a position has the probability p = sigmoid(e + noise) with e = g energy / |v| +
    r (Raffel 2017, sections 2.4 and 2.5; |v| of the additive scores, else 1; g and r per head).
    Training takes the expectation over all decisions, a test decides yes where e > 0.
    `AttentionState.tensors` has "stop" B,H,S: the probabilities that the last step stopped at each
    position, all on the first one in the beginning.
    """

    placement = "previous-state"
    classic_score = "concat"
    normalises = False
    stepwise = True
    weights_kind: WeightsKind = "sub-distribution"
    Options = MonotonicOptions

    def __init__(self, sizes: Sizes, score: str, options: MonotonicOptions) -> None:
        super().__init__(sizes, score, options)
        self.weights_kind = type(self).weights_kind
        self.noise, self.hard_at_test = options.energy_noise, options.hard_at_test
        first = self.score.vector.shape[1] ** -0.5 if isinstance(self.score, Concat) else 1.0
        self.scale = nn.Parameter(torch.full((self.heads, 1, 1), first))
        self.bias = nn.Parameter(torch.full((self.heads, 1, 1), options.bias))

    def initial_state(self, keys: Keys) -> AttentionState:
        state = super().initial_state(keys)
        first = first_position(keys.memory.mask, keys.tensors["values"].dtype)  # B,1,S
        return AttentionState(0, {**state.tensors, "stop": first.expand(-1, self.heads, -1)})

    def stop(self, energies: Tensor, before: Tensor, mask: Tensor | None) -> Tensor:
        """Probabilities B,H,S that this step stops at each position.

        Args:
            energies: B,H,1,S of the score.
            before: B,H,S, the same of the step before.
            mask: broadcastable to B,H,1,S.
        """
        dtype = torch.promote_types(energies.dtype, torch.float32)
        energies = energies.to(dtype)
        if isinstance(self.score, Concat):
            energies = energies / self.score.vector.norm(dim=-1)[:, None, None]
        energies = (self.scale * energies + self.bias)[:, :, 0]  # B,H,S
        if self.training and self.noise:
            energies = energies + self.noise * torch.randn_like(energies)
        if self.training or not self.hard_at_test:
            yes, no = energies.sigmoid(), (-energies).sigmoid()  # 1 - yes would round to 0
        else:
            yes = (energies > 0).to(dtype)
            no = 1 - yes
        stop = self.advance(yes, no, before.to(dtype))
        return stop if mask is None else stop.masked_fill(~mask[:, :, 0], 0.0)

    @abstractmethod
    def advance(self, yes: Tensor, no: Tensor, before: Tensor) -> Tensor:
        """Probabilities B,H,S that this step stops at each position, given those of the step before
        and those of deciding yes or no at each position; the latter are 0 or 1 in a test."""

    def weigh(
        self,
        energies: Tensor,
        query: Tensor,
        keys: Keys,
        state: AttentionState,
        mask: Tensor | None,
    ) -> AttentionWeights:
        stop = self.stop(energies, state.tensors["stop"], mask)
        return AttentionWeights(stop[:, :, None], {"stop": stop})


@attentions.register("monotonic")
class Monotonic(MonotonicSteps):
    """Every step goes on from where the last one stopped, until a position says stop (Raffel 2017,
    algorithm 1); the context is the state there.

    In expectation (section 2.3): a_{i,j} = p_{i,j} q_{i,j} with q_{i,j} = (1 - p_{i,j-1})
    q_{i,j-1} + a_{i-1,j}. A step that stops nowhere has the context 0, as do all after it; weights
    then sum to less than 1.
    """

    summary = "goes on until a position says stop; trained in expectation, hard at test"
    citation = "Raffel 2017"

    def advance(self, yes: Tensor, no: Tensor, before: Tensor) -> Tensor:
        return yes * linear_recurrence(shifted(no), before)


def linear_recurrence(factors: Tensor, terms: Tensor) -> Tensor:
    """x_j = factors_j x_{j-1} + terms_j along the last dimension, with x_{-1} = 0.

    By doubling (Hillis and Steele 1986): log2(S) passes over the whole. With factors in [0, 1] and
    terms that are not negative nothing is divided or cancels, so that it is exact to rounding for
    any length, where the closed form of the paper divides by products that
    underflow.
    """
    by = 1
    while by < terms.shape[-1]:
        terms = terms + factors * shifted(terms, by)
        factors = factors * shifted(factors, by)
        by *= 2
    return terms


def shifted(weights: Tensor, by: int = 1) -> Tensor:
    """Weights ...,S moved ahead by so many positions; what leaves the end is lost."""
    return F.pad(weights, (by, 0))[..., : weights.shape[-1]]

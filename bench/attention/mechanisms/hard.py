"""Attention to one sampled location."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from bench.attention.aggregation import Aggregation, Selection, weighted_mean
from bench.attention.attention import ScoredAttention
from bench.attention.base import Keys, Sampled, Sizes
from bench.attention.mechanisms.soft import SoftOptions
from bench.attention.registries import attentions


class HardOptions(SoftOptions):
    """Options of the estimator of Xu 2015, section 4.1, with milder default weights.

    On the synthetic translation set (300 steps, validation loss 0.68 against 1.24) drawing one
    example in five, crediting a location with its own unit only, and a third of the weight learn
    alignments that the paper's values (0.5, discount 1, weight 1, entropy 0.002) do not find in
    that time.
    """

    estimator: Literal["reinforce", "gumbel"] = Field(
        "reinforce", description="how gradients pass the draw"
    )
    expected_probability: float = Field(
        0.8, ge=0, le=1, description="probability that an example uses the expectation instead"
    )
    reinforce_weight: float = Field(0.3, ge=0, description="weight of the REINFORCE term")
    entropy_weight: float = Field(0.02, ge=0, description="weight of the entropy bonus")
    discount: float = Field(0.0, ge=0, le=1, description="of later rewards; 1 is unbiased")
    baseline_decay: float = Field(0.9, ge=0, lt=1, description="of the moving-average baseline")
    temperature: float = Field(1.0, gt=0, description="of the straight-through Gumbel softmax")


class Sampling(Aggregation):
    """Aggregation by one location: drawn from the weights in training, the arg max at test.

    With the estimator `reinforce` (Xu 2015, section 4.1) the draw blocks the gradient and
    `Sampled` carries log-probabilities and entropies for `bench.models.losses`. With
    `gumbel` the draw is straight-through: one-hot on the way forward, a softmax of perturbed
    log-weights on the way back (Jang 2017, section 2.2), and `Sampled` is not set.

    With `expected_probability` an example uses the expectation in place of samples, for its whole
    target (Xu 2015, section 4.1, against variance; their code decides for a batch, which couples
    its examples). Its log-probabilities are 0.
    """

    def __init__(self, options: HardOptions) -> None:
        super().__init__()
        self.estimator = options.estimator
        self.expected_probability = options.expected_probability
        self.temperature = options.temperature

    def initial_tensors(self, keys: Keys) -> Mapping[str, Tensor]:
        if not self.training or self.expected_probability == 0:
            return {}
        states = keys.memory.states
        chance = torch.full((len(states),), self.expected_probability, device=states.device)
        return {"expected": torch.bernoulli(chance).bool()}  # B

    def forward(self, weights: Tensor, values: Tensor, tensors: Mapping[str, Tensor]) -> Selection:
        if not self.training:
            chosen = _one_hot(weights.argmax(-1, keepdim=True), weights)  # B,H,T,S
            return Selection(weighted_mean(chosen, values), chosen)
        # Draw: one-hot weights B,H,T,S; log-probabilities B,H,T of the draws for REINFORCE.
        if self.estimator == "gumbel":
            logits = _log(weights).masked_fill(weights == 0, float("-inf"))
            drawn = F.gumbel_softmax(logits, tau=self.temperature, hard=True)
            chosen, log_prob = drawn.to(weights.dtype), None
        else:
            chosen, log_prob = _draw(weights)
        # Some examples use the expectation instead.
        expected = tensors.get("expected")  # B
        if expected is not None:
            chosen = torch.where(expected[:, None, None, None], weights, chosen)
            if log_prob is not None:
                log_prob = log_prob.masked_fill(expected[:, None, None], 0.0)
        sampled = None
        if log_prob is not None:
            sampled = Sampled(log_prob.sum(1), entropy(weights).sum(1))  # heads are independent
        return Selection(weighted_mean(chosen, values), chosen, sampled)


def entropy(weights: Tensor) -> Tensor:
    """Entropy - sum p log p along the last dimension, with finite gradients where p is 0."""
    return -(weights * _log(weights)).sum(-1)


def _draw(weights: Tensor) -> tuple[Tensor, Tensor]:
    """Draw from weights B,H,T,S: one-hot draws B,H,T,S and their log-probabilities B,H,T, which are
    NaN where the weights are."""
    # A diverged model's NaN can be drawn as well as anything: its loss is NaN in any case, while a
    # draw from NaN raises (on a GPU it breaks the process).
    flat = weights.detach().float().nan_to_num(nan=1.0).flatten(0, -2)  # B*H*T,S
    index = torch.multinomial(flat, 1).view(*weights.shape[:-1], 1)
    return _one_hot(index, weights), _log(weights.gather(-1, index)).squeeze(-1)


def _one_hot(index: Tensor, like: Tensor) -> Tensor:
    return torch.zeros_like(like).scatter_(-1, index, 1.0)


def _log(weights: Tensor) -> Tensor:
    weights = weights.to(torch.promote_types(weights.dtype, torch.float32))
    return weights.clamp_min(torch.finfo(weights.dtype).tiny).log()


@attentions.register("hard")
class HardAttention(ScoredAttention):
    """One location a step: drawn in training, the arg max at test (Xu 2015, section 4.1).

    While it draws, `AttentionOutput.sampled` is set; `bench.models.losses` turns it into a loss.
    """

    summary = "attends to one sampled location; REINFORCE, or straight-through Gumbel"
    citation = "Xu 2015"
    placement = "previous-state"
    classic_score = "concat"
    samples = True
    Options = HardOptions

    def __init__(self, sizes: Sizes, score: str, options: HardOptions) -> None:
        super().__init__(
            sizes,
            score,
            options,
            window=options.window(),
            aggregation=Sampling(options),
            gate=options.gate,
        )

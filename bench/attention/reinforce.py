"""The loss that trains sampled locations: REINFORCE with a baseline and an entropy bonus.

Xu 2015, section 4.1, with two changes that leave the expected gradient as it is and lower its
variance: a location is credited with the rewards that come after it, not with those before, and
the baseline is taken off per reward, so that early steps, whose returns are sums of many rewards,
are compared with as many baselines.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.attention.base import Sampled


@dataclass(frozen=True)
class Baseline:
    """Moving average of the reward of one target unit. A plain value: the caller keeps it.

    Attributes:
        value: nats; 0-dimensional. A good first value is that of a model that knows nothing,
            - log(vocabulary).
        decay: share of the old value that stays with each batch (0.9 in Xu 2015).
    """

    value: Tensor
    decay: float = 0.9

    @classmethod
    def start(cls, value: float = 0.0, decay: float = 0.9) -> Baseline:
        return cls(torch.tensor(value), decay)

    def updated(self, reward: Tensor, mask: Tensor) -> Baseline:
        """After a batch with these rewards B,T; what is not in the mask does not count."""
        mean = torch.where(mask, reward.detach(), 0.0).sum() / mask.sum().clamp_min(1)
        value = self.value.to(mean) * self.decay + mean * (1 - self.decay)
        return replace(self, value=value)


def reinforce_loss(
    sampled: Sampled,
    reward: Tensor,
    mask: Tensor,
    baseline: Baseline,
    *,
    reinforce_weight: float = 1.0,
    entropy_weight: float = 0.0,
    discount: float = 1.0,
) -> tuple[Tensor, Baseline]:
    """The loss to add to the mean cross-entropy of the target units.

    With weight 1 and discount 1, the gradient of cross-entropy plus this loss is, in expectation
    over the draws, that of the expected mean cross-entropy (plus the entropy bonus).

    Args:
        sampled: log-probabilities and entropies of the draws, B,T; log-probabilities of 0 where
            the expectation was used instead.
        reward: B,T, log p of each target unit; gradients do not pass.
        mask: B,T bool, True where a target unit is real.
        baseline: from the batches before; the same baseline for this whole batch keeps the
            estimate unbiased.
        discount: factor per step on later rewards; below 1 trades bias for variance.

    Returns:
        The loss, a mean over real units, and the baseline for the next batch.
    """
    reward = reward.detach()
    advantage = torch.where(mask, reward - baseline.value.to(reward), 0.0)
    credit = returns_to_go(advantage, discount)  # B,T
    units = mask.sum().clamp_min(1)
    gain = torch.where(mask, sampled.log_prob * credit, 0.0).sum() / units
    entropy = torch.where(mask, sampled.entropy, 0.0).sum() / units
    loss = -reinforce_weight * gain - entropy_weight * entropy
    return loss, baseline.updated(reward, mask)


def returns_to_go(reward: Tensor, discount: float = 1.0) -> Tensor:
    """R_t = sum over k >= t of discount^(k - t) r_k, for rewards B,T."""
    if discount == 1.0:
        return reward.flip(1).cumsum(1).flip(1)
    steps = torch.arange(reward.shape[1], device=reward.device)
    ahead = steps[:, None] - steps  # k,t: how far k lies after t
    factors = torch.where(ahead >= 0, discount ** ahead.clamp_min(0).to(reward.dtype), 0.0)
    return reward @ factors  # B,T

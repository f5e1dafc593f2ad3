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
    """Moving averages of the reward, one per group of target units. A plain value: the caller
    keeps it.

    A unit's group may be anything that does not depend on what was drawn: the right token is the
    natural choice, for most of a reward's variance is that some tokens are harder than others.

    Attributes:
        values: K averages in nats, one a group.
        decay: share of the old value that stays with each batch (0.9 in Xu 2015).
    """

    values: Tensor
    decay: float = 0.9

    @classmethod
    def start(cls, value: float = 0.0, decay: float = 0.9, *, groups: int = 1) -> Baseline:
        """The same first value for all groups; good is what a model that knows nothing gets,
        - log(vocabulary)."""
        return cls(torch.full((groups,), value), decay)

    def of(self, reward: Tensor, groups: Tensor | None) -> Tensor:
        """What is expected of each unit, B,T; `groups` B,T int64, or None if there is one."""
        values = self.values.to(reward)
        return values[torch.zeros_like(reward, dtype=torch.int64) if groups is None else groups]

    def updated(self, reward: Tensor, mask: Tensor, groups: Tensor | None = None) -> Baseline:
        """After a batch with these rewards B,T; what is not in the mask does not count. Groups
        that the batch does not have keep their value."""
        values = self.values.to(reward.detach())
        place = torch.zeros_like(reward, dtype=torch.int64) if groups is None else groups
        place, seen = place[mask], reward.detach()[mask]  # N
        sums = torch.zeros_like(values).index_add_(0, place, seen)
        counts = torch.zeros_like(values).index_add_(0, place, torch.ones_like(seen))
        mean = sums / counts.clamp_min(1)
        return replace(
            self,
            values=torch.where(counts > 0, values * self.decay + mean * (1 - self.decay), values),
        )


def reinforce_loss(
    sampled: Sampled,
    reward: Tensor,
    mask: Tensor,
    baseline: Baseline,
    *,
    groups: Tensor | None = None,
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
        groups: B,T int64, the baseline's group of every unit; None if it has one.
        discount: factor per step on later rewards; below 1 trades bias for variance.

    Returns:
        The loss, a mean over real units, and the baseline for the next batch.
    """
    reward = reward.detach()
    advantage = torch.where(mask, reward - baseline.of(reward, groups), 0.0)
    credit = returns_to_go(advantage, discount)  # B,T
    units = mask.sum().clamp_min(1)
    gain = torch.where(mask, sampled.log_prob * credit, 0.0).sum() / units
    entropy = torch.where(mask, sampled.entropy, 0.0).sum() / units
    loss = -reinforce_weight * gain - entropy_weight * entropy
    return loss, baseline.updated(reward, mask, groups)


def returns_to_go(reward: Tensor, discount: float = 1.0) -> Tensor:
    """R_t = sum over k >= t of discount^(k - t) r_k, for rewards B,T."""
    if discount == 1.0:
        return reward.flip(1).cumsum(1).flip(1)
    steps = torch.arange(reward.shape[1], device=reward.device)
    ahead = steps[:, None] - steps  # k,t: how far k lies after t
    factors = torch.where(ahead >= 0, discount ** ahead.clamp_min(0).to(reward.dtype), 0.0)
    return reward @ factors  # B,T

"""Losses: cross-entropy over a vocabulary, REINFORCE, penalties on attention weights, and their
cross-entropy with gold alignments."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.attention.base import AttentionOptions, Sampled

# Cross-entropy from features: the logits of a batch never exist at once.
#
# For thousands of words the output layer is the dearest part of a training step. Its loss and both
# gradients are made here in one pass, some rows at a time: what would be four N,V tensors (logits,
# log-probabilities, their gradient, the gradient of the logits) is one piece that stays in the
# cache.

#: Numbers between which rows begin (64 bytes in float32). CPU libraries multiply a third slower
#: into rows of other lengths: 900 x 256 x 5921 takes 48 ms, into rows of 5936 numbers 31 ms.
ALIGNMENT = 16


def aligned_rows(count: int, size: int, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Allocate `count` rows, not initialised, with room for `size` numbers and aligned starts."""
    width = -(-size // ALIGNMENT) * ALIGNMENT
    return like.new_empty(count, width, dtype=dtype or like.dtype)


#: Elements of a piece of logits: 8 MiB in float32, so that it stays in a CPU's cache. On a GPU
#: launches of kernels cost more than memory: 256 MiB.
LIMIT, GPU_LIMIT = 2**21, 2**26
#: Logits are divided by ln 2, at no cost in their product: CPUs take powers of 2 in half the time
#: of powers of e.
LN_2 = math.log(2)
LOG2_E = 1 / LN_2


@dataclass(frozen=True)
class WordLoss:
    """The cross-entropy of N labels.

    Attributes:
        loss: scalar, mean over the labels, with smoothing; has the gradient.
        nll: N, negative log-likelihoods in nats, without smoothing; no gradient.
        right: N bool, whether no token is more probable than the label.
    """

    loss: Tensor
    nll: Tensor
    right: Tensor


def vocabulary_loss(
    features: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, *, smoothing: float = 0.0
) -> WordLoss:
    """Mean cross-entropy of softmax(features weight^T + bias).

    With smoothing e (Szegedy 2016, section 7) the target is 1 - e on the label and e/V on every
    token: loss = log sum exp z - (1 - e) z_label - e mean(z).

    Args:
        features: N,F with N at least 1.
        weight: V,F.
        bias: V.
        labels: N int64.
        smoothing: e, from 0 to 1.
    """
    inputs = (features, weight, bias)
    # Inside the function gradients are never enabled, and parameters always need them.
    wanted = torch.is_grad_enabled() and any(one.requires_grad for one in inputs)
    return WordLoss(*_VocabularyLoss.apply(*inputs, labels, smoothing, wanted))


class _VocabularyLoss(torch.autograd.Function):
    """Cross-entropy with gradients computed together with the loss, since they need nothing that
    comes after it. A second backward pass computes them again."""

    @staticmethod
    def forward(
        ctx: Any,
        features: Tensor,
        weight: Tensor,
        bias: Tensor,
        labels: Tensor,
        smoothing: float,
        wanted: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        kind = features.device.type
        mixed = torch.is_autocast_enabled(kind)
        ctx.smoothing = smoothing
        ctx.rough = torch.get_autocast_dtype(kind) if mixed else features.dtype
        ctx.save_for_backward(features, weight, bias, labels)
        with torch.autocast(kind, enabled=False):
            found, ctx.sums = _loss_and_gradients(
                features, weight, bias, labels, smoothing, ctx.rough, wanted
            )
        ctx.mark_non_differentiable(found.nll, found.right)
        return found.loss, found.nll, found.right

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *unused: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, bias, labels = ctx.saved_tensors
        sums, ctx.sums = ctx.sums, None
        if sums is None:
            with torch.autocast(features.device.type, enabled=False):
                _, sums = _loss_and_gradients(
                    features, weight, bias, labels, ctx.smoothing, ctx.rough, True
                )
        scale = grad / len(features)
        return (
            sums.features.to(features.dtype).mul_(scale),
            sums.weight.to(weight.dtype).mul_(scale),
            sums.bias.to(bias.dtype).mul_(scale),
            *(None,) * 3,
        )


@dataclass(frozen=True)
class _Sums:
    """Sums over labels of their losses' gradients by features (N,F), weight (V,F) and bias (V)."""

    features: Tensor
    weight: Tensor
    bias: Tensor

    def add(
        self, part: slice, slope: Tensor, scale: Tensor, features: Tensor, weight: Tensor
    ) -> None:
        """Accumulate the gradients of the rows `part`. The gradient of their logits is `slope` R,V
        times `scale` R; scaling is applied to R,F products, whose rows are shorter."""
        self.bias.addmv_(slope.t(), scale)
        slope = slope.to(features.dtype)
        scale = scale[:, None]
        torch.mm(slope, weight, out=self.features[part]).mul_(scale)
        features = (features * scale).to(features.dtype)
        if self.weight.dtype == features.dtype:  # the first rows overwrite
            self.weight.addmm_(slope.t(), features, beta=min(part.start, 1))
        elif part.start:
            self.weight.add_(slope.t() @ features)
        else:
            self.weight.copy_(slope.t() @ features)


def _loss_and_gradients(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    labels: Tensor,
    smoothing: float,
    rough: torch.dtype,
    wanted: bool,
) -> tuple[WordLoss, _Sums | None]:
    """Compute the loss of all rows, and the gradients if wanted, a piece of R rows at a time, with
    products in the type `rough`."""
    features, weight = features.to(rough), weight.to(rough)
    count, words = len(features), len(weight)
    exact = torch.promote_types(rough, torch.float32)
    sums: _Sums | None = None
    if wanted:
        to_weight = torch.empty_like(weight, dtype=exact, memory_format=torch.contiguous_format)
        sums = _Sums(torch.empty_like(features), to_weight, bias.new_zeros(words, dtype=exact))
    limit = GPU_LIMIT if features.is_cuda else LIMIT
    pieces = -(-count // max(1, limit // words))
    rows = -(-count // max(1, pieces))  # in pieces of one size
    buffer = aligned_rows(rows, words, features, exact)
    nll = features.new_empty(count, dtype=exact)
    right = features.new_empty(count, dtype=torch.bool)
    loss = features.new_zeros((), dtype=exact)
    bias = bias.to(exact) * LOG2_E
    for start in range(0, count, rows):
        part = slice(start, min(start + rows, count))
        whole = buffer[: part.stop - start]
        # Logits over ln 2.
        z = whole[:, :words]  # R,V
        if features.dtype == exact:
            torch.addmm(bias, features[part], weight.t(), alpha=LOG2_E, out=z)
        else:
            torch.add(bias, features[part] @ weight.t(), alpha=LOG2_E, out=z)
        label = labels[part, None]  # R,1
        # Softmax in powers of 2, from the highest logit on.
        highest, own = z.amax(1, keepdim=True), z.gather(1, label)
        mean = z.mean() if smoothing else None
        whole.sub_(highest).exp2_()  # in one stretch of memory, which is faster
        total = z.sum(1, keepdim=True)
        log_total = total.log2() + highest
        # Loss: log of the sum, less the label's logit, less the mean under smoothing.
        nll[part], right[part] = (log_total - own)[:, 0], (own == highest)[:, 0]
        loss += (log_total - (1 - smoothing) * own).sum()
        if mean is not None:
            loss -= smoothing * mean * len(label)
        if sums is None:
            continue
        # Gradient of the logits: softmax - target, here times the total.
        if smoothing:
            z.sub_(total * (smoothing / words))
        z.scatter_add_(1, label, total * (smoothing - 1))
        sums.add(part, z, total[:, 0].reciprocal_(), features[part], weight)
    return WordLoss(loss * (LN_2 / count), nll.mul_(LN_2), right), sums


# REINFORCE with a baseline and an entropy bonus, which trains sampled locations.
#
# Xu 2015, section 4.1, with two changes that leave the expected gradient as it is and lower its
# variance: a location is credited with the rewards that come after it, not with those before, and
# the baseline is taken off per reward, so that early steps, whose returns are sums of many rewards,
# are compared with as many baselines.


@dataclass(frozen=True)
class Baseline:
    """Moving averages of the reward, one per group of target units. A frozen value that the caller
    keeps.

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
        """Start all groups at one value; a good one is the reward of a model that knows nothing,
        - log(vocabulary)."""
        return cls(torch.full((groups,), value), decay)

    def of(self, reward: Tensor, groups: Tensor | None) -> Tensor:
        """Return the expected reward B,T of each unit; `groups` are B,T int64, or None if all units
        belong to one."""
        values = self.values.to(reward)
        return values[torch.zeros_like(reward, dtype=torch.int64) if groups is None else groups]

    def updated(self, reward: Tensor, mask: Tensor, groups: Tensor | None = None) -> Baseline:
        """Return the baseline after a batch with rewards B,T, of which those in the mask count.
        Groups that the batch does not have keep their value."""
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
    """REINFORCE loss, to be added to the mean cross-entropy of the target units.

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
    """Returns B,T of rewards B,T: R_t = sum over k >= t of discount^(k - t) r_k."""
    if discount == 1.0:
        return reward.flip(1).cumsum(1).flip(1)
    steps = torch.arange(reward.shape[1], device=reward.device)
    ahead = steps[:, None] - steps  # k,t: how far k lies after t
    factors = torch.where(ahead >= 0, discount ** ahead.clamp_min(0).to(reward.dtype), 0.0)
    return reward @ factors  # B,T


#: From weights B,T,S, target positions that count B,T and a source mask B,S to a penalty for each
#: example, B.
Penalty = Callable[[Tensor, Tensor, Tensor], Tensor]

# Penalties on the weights of attention, each an option of the mechanism that holds its weight in
# the loss.
#
# The papers add the penalty of a target text to the negative log-likelihood of the whole text. A
# loss that is a mean over target units is to divide the sum of a penalty over a batch by the number
# of the batch's units, so that a weight of 1 is the papers' lambda of 1.


def attention_penalties(
    options: AttentionOptions, done: float = 1.0, *, of_units: bool = True
) -> list[tuple[float, Penalty]]:
    """The penalties in the loss of a mechanism with these options, with their weights.

    Args:
        done: share of the training steps that are made; a penalty counts from its start on.
        of_units: whether the loss is a mean over target units; else one over examples.
    """
    weights = {name: getattr(options, name, 0.0) for name in PENALTIES}
    starts = {name: getattr(options, start, 0.0) for name, start in STARTS.items()}
    found = [
        (weight, PENALTIES[name])
        for name, weight in weights.items()
        if weight and done >= starts.get(name, 0.0)
    ]
    guided: float = getattr(options, "guided_loss", 0.0)
    if guided:
        width: float = getattr(options, "guided_width", 0.2)
        found.append((guided, partial(guided_attention_loss, width=width, of_units=of_units)))
    return found


def doubly_stochastic_penalty(weights: Tensor, real: Tensor, source_mask: Tensor) -> Tensor:
    """Penalty of Xu 2015, section 4.2.1: all source positions should get the same total attention.

    The paper asks for a total of 1 at each of S positions, which T target units can give only
    where T = S; asked for here is the even share T/S.

    Args:
        weights: B,T,S.
        real: B,T target positions that count.
        source_mask: B,S.

    Returns:
        B, for each example the sum over positions of the squared difference.
    """
    total = (weights * real[..., None]).sum(dim=1)  # B,S
    share = real.sum(dim=1, keepdim=True) / source_mask.sum(dim=1, keepdim=True)  # B,1
    return ((share - total).square() * source_mask).sum(dim=1)


def coverage_loss(weights: Tensor, real: Tensor, source_mask: Tensor) -> Tensor:
    """Coverage loss of See 2017, equations 12 and 13: what is attended to should not have been
    attended to before. A step pays sum_s min(a_s, c_s), with c the sum of the weights of all steps
    before it.

    Args:
        weights: B,T,S, 0 on padding.
        real: B,T target positions that count.
        source_mask: B,S.

    Returns:
        B, for each example the sum over steps.
    """
    weights = weights * real[..., None] * source_mask[:, None]
    before = weights.cumsum(dim=1) - weights  # B,T,S
    return torch.minimum(weights, before).sum(dim=(1, 2))


def guided_attention_loss(
    weights: Tensor,
    real: Tensor,
    source_mask: Tensor,
    *,
    width: float = 0.2,
    of_units: bool = True,
) -> Tensor:
    """Guided attention loss of Tachibana 2018, section 4.1: weights should lie near the diagonal,
    where target and source go on at one pace. The mean over T target positions and S source
    positions of A_ts W_ts, with

        W_ts = 1 - exp(-(s / S - t / T)^2 / (2 g^2)),

    t and s counted from 0 over the example's own real positions.

    Args:
        weights: B,T,S.
        real: B,T target positions that count.
        source_mask: B,S.
        width: g.
        of_units: whether to sum over target positions instead, for a loss that divides by them.

    Returns:
        B.
    """
    units, positions = real.sum(1), source_mask.sum(1)  # B
    precise = torch.promote_types(weights.dtype, torch.float32)
    t = (real.cumsum(1) - 1).to(precise) / units[:, None].clamp_min(1)  # B,T
    s = (source_mask.cumsum(1) - 1).to(precise) / positions[:, None].clamp_min(1)  # B,S
    away = (s[:, None] - t[..., None]).square()  # B,T,S
    costs = 1 - torch.exp(-away / (2 * width**2))
    pairs = real[..., None] & source_mask[:, None]
    means = torch.where(pairs, weights * costs, 0.0).sum((1, 2)) / positions.clamp_min(1)  # B
    return means if of_units else means / units.clamp_min(1)


#: Penalties by the option that holds their weight; guided attention has an option more.
PENALTIES: Mapping[str, Penalty] = {
    "doubly_stochastic": doubly_stochastic_penalty,
    "coverage_loss": coverage_loss,
}
#: The option that holds the share of the training steps before a penalty counts.
STARTS: Mapping[str, str] = {"coverage_loss": "coverage_start"}


#: Smallest weight that a logarithm is taken of: sparse weights are 0 at some gold positions.
LEAST_WEIGHT = 1e-9


def gold_attention_loss(weights: Tensor, gold: Tensor) -> Tensor:
    """Cross-entropy of attention weights with gold alignments (Mi 2016; Garg 2019, equation 5):
    - sum_t sum_s g_ts log a_ts.

    Weights that are no distribution (unnormalised, signed) count as shares |a_ts| / sum_s |a_ts|.

    Args:
        weights: B,T,S.
        gold: B,T,S, for each target unit a distribution over source positions, or zeros where it
            has no gold.

    Returns:
        B, sums over the target units of each example.
    """
    sizes = weights.float().abs()
    shares = sizes / sizes.sum(-1, keepdim=True).clamp_min(LEAST_WEIGHT)
    return -(gold * shares.clamp_min(LEAST_WEIGHT).log()).sum(dim=(1, 2))

"""Cross-entropy over a vocabulary, from features: the logits of a batch never exist at once.

For thousands of words the output layer is the dearest part of a training step. Its loss and both
gradients are made here in one pass, some rows at a time: what would be four N,V tensors (logits,
log-probabilities, their gradient, the gradient of the logits) is one piece that stays in the cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.models.aligned import aligned_rows

#: Elements of a piece of logits: 8 MiB in float32, so that it stays in a CPU's cache. On a GPU
#: launches of kernels cost more than memory: 256 MiB.
LIMIT, GPU_LIMIT = 2**21, 2**26


@dataclass(frozen=True)
class WordLoss:
    """What N labels cost.

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
    loss, nll, right = _VocabularyLoss.apply(features, weight, bias, labels, smoothing)
    return WordLoss(loss, nll, right)


class _VocabularyLoss(torch.autograd.Function):
    """The gradients need nothing that comes after, so they are made with the loss and kept."""

    @staticmethod
    def forward(
        ctx: Any, features: Tensor, weight: Tensor, bias: Tensor, labels: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        wanted = any(ctx.needs_input_grad)
        kind = features.device.type
        mixed = torch.is_autocast_enabled(kind)
        rough = torch.get_autocast_dtype(kind) if mixed else features.dtype
        with torch.autocast(kind, enabled=False):
            sums = _Sums.empty(features, weight, rough) if wanted else None
            found = _pass(features.to(rough), weight.to(rough), bias, labels, smoothing, sums)
        if sums is not None:
            ctx.save_for_backward(
                sums.features.to(features.dtype), sums.weight.to(weight.dtype), sums.bias
            )
        ctx.mark_non_differentiable(found.nll, found.right)
        return found.loss, found.nll, found.right

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *unused: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, bias = ctx.saved_tensors
        return features * grad.to(features.dtype), weight * grad, bias * grad, None, None


@dataclass(frozen=True)
class _Sums:
    """Gradients while they are summed up: N,F and V,F and V."""

    features: Tensor
    weight: Tensor
    bias: Tensor

    @classmethod
    def empty(cls, features: Tensor, weight: Tensor, rough: torch.dtype) -> _Sums:
        exact = torch.promote_types(rough, torch.float32)
        return cls(
            torch.empty_like(features, dtype=rough),
            torch.zeros_like(weight, dtype=exact, memory_format=torch.contiguous_format),
            weight.new_zeros(len(weight), dtype=exact),
        )


def _pass(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    labels: Tensor,
    smoothing: float,
    sums: _Sums | None,
) -> WordLoss:
    """All rows, a piece at a time; adds the gradients of the mean loss to `sums`."""
    count, words = len(features), len(weight)
    exact = torch.promote_types(features.dtype, torch.float32)
    limit = GPU_LIMIT if features.is_cuda else LIMIT
    pieces = -(-count // max(1, limit // words))
    rows = -(-count // max(1, pieces))  # in pieces of one size
    buffer = aligned_rows(rows, words, features, exact)
    nll = features.new_empty(count, dtype=exact)
    right = features.new_empty(count, dtype=torch.bool)
    loss = features.new_zeros((), dtype=exact)
    bias = bias.to(exact)
    for start in range(0, count, rows):
        part = slice(start, min(start + rows, count))
        whole = buffer[: part.stop - start]
        z = whole[:, :words]  # R,V
        if features.dtype == exact:
            torch.addmm(bias, features[part], weight.t(), out=z)
        else:
            torch.add(features[part] @ weight.t(), bias, out=z)
        label = labels[part, None]  # R,1
        highest, own = z.amax(1, keepdim=True), z.gather(1, label)
        mean = z.mean() if smoothing else None
        whole.sub_(highest).exp_()  # in one stretch of memory, which is faster
        total = z.sum(1, keepdim=True)
        log_total = total.log() + highest
        nll[part], right[part] = (log_total - own)[:, 0], (own == highest)[:, 0]
        loss += (log_total - (1 - smoothing) * own).sum()
        if mean is not None:
            loss -= smoothing * mean * len(label)
        if sums is None:
            continue
        # Gradient of the mean loss: (softmax - target) / N.
        whole.mul_((total * count).reciprocal_())
        if smoothing:
            z.sub_(smoothing / words / count)
        z.scatter_add_(1, label, z.new_full(label.shape, (smoothing - 1) / count))
        sums.bias.add_(z.sum(0))
        slope = z.to(features.dtype)
        torch.mm(slope, weight, out=sums.features[part])
        if features.dtype == exact:
            sums.weight.addmm_(slope.t(), features[part])
        else:
            sums.weight.add_(slope.t() @ features[part])
    return WordLoss(loss / count, nll, right)

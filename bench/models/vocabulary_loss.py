"""Cross-entropy over a vocabulary, from features: the logits of a batch never exist at once.

For thousands of words the output layer is the dearest part of a training step. Its loss and both
gradients are made here in one pass, some rows at a time: what would be four N,V tensors (logits,
log-probabilities, their gradient, the gradient of the logits) is one piece that stays in the cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.models.aligned import aligned_rows

#: Elements of a piece of logits: 8 MiB in float32, so that it stays in a CPU's cache. On a GPU
#: launches of kernels cost more than memory: 256 MiB.
LIMIT, GPU_LIMIT = 2**21, 2**26
#: Logits are divided by ln 2, at no cost in their product: CPUs take powers of 2 in half the time
#: of powers of e.
LN_2 = math.log(2)
LOG2_E = 1 / LN_2


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
    inputs = (features, weight, bias)
    # Inside the function gradients are never enabled, and parameters always need them.
    wanted = torch.is_grad_enabled() and any(one.requires_grad for one in inputs)
    return WordLoss(*_VocabularyLoss.apply(*inputs, labels, smoothing, wanted))


class _VocabularyLoss(torch.autograd.Function):
    """The gradients need nothing that comes after, so they are made with the loss and handed over
    on the way back. For whoever goes back a second time they are made again."""

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
        found, ctx.sums = _made((features, weight, bias, labels), smoothing, ctx.rough, wanted)
        ctx.mark_non_differentiable(found.nll, found.right)
        return found.loss, found.nll, found.right

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, *unused: Tensor) -> tuple[Tensor | None, ...]:
        features, weight, bias, labels = ctx.saved_tensors
        sums, ctx.sums = ctx.sums, None
        if sums is None:
            inputs = (features, weight, bias, labels)
            sums = _made(inputs, ctx.smoothing, ctx.rough, wanted=True)[1]
        scale = grad / len(features)
        return (
            sums.features.to(features.dtype).mul_(scale),
            sums.weight.to(weight.dtype).mul_(scale),
            sums.bias.to(bias.dtype).mul_(scale),
            *(None,) * 3,
        )


@dataclass(frozen=True)
class _Sums:
    """Gradients of the labels' losses, summed up: N,F and V,F and V."""

    features: Tensor
    weight: Tensor
    bias: Tensor

    @classmethod
    def empty(cls, features: Tensor, weight: Tensor, rough: torch.dtype) -> _Sums:
        exact = torch.promote_types(rough, torch.float32)
        return cls(
            torch.empty_like(features, dtype=rough),
            torch.empty_like(weight, dtype=exact, memory_format=torch.contiguous_format),
            weight.new_zeros(len(weight), dtype=exact),
        )

    def add(
        self, part: slice, slope: Tensor, scale: Tensor, features: Tensor, weight: Tensor
    ) -> None:
        """Those of the rows `part`, from `scale` R times the gradient R,V of their logits, whose
        rows are thus scaled where they are short."""
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


def _made(
    inputs: tuple[Tensor, Tensor, Tensor, Tensor],
    smoothing: float,
    rough: torch.dtype,
    wanted: bool,
) -> tuple[WordLoss, _Sums | None]:
    """The loss of features, weight, bias and labels, and the gradients if they are wanted; the
    products in the type `rough`."""
    features, weight, bias, labels = inputs
    with torch.autocast(features.device.type, enabled=False):
        sums = _Sums.empty(features, weight, rough) if wanted else None
        given = (features.to(rough), weight.to(rough), bias, labels)
        return _pass(*given, smoothing, sums), sums


def _pass(
    features: Tensor,
    weight: Tensor,
    bias: Tensor,
    labels: Tensor,
    smoothing: float,
    sums: _Sums | None,
) -> WordLoss:
    """All rows, a piece at a time; fills `sums`."""
    count, words = len(features), len(weight)
    exact = torch.promote_types(features.dtype, torch.float32)
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
        z = whole[:, :words]  # R,V; logits over ln 2
        if features.dtype == exact:
            torch.addmm(bias, features[part], weight.t(), alpha=LOG2_E, out=z)
        else:
            torch.add(bias, features[part] @ weight.t(), alpha=LOG2_E, out=z)
        label = labels[part, None]  # R,1
        highest, own = z.amax(1, keepdim=True), z.gather(1, label)
        mean = z.mean() if smoothing else None
        whole.sub_(highest).exp2_()  # in one stretch of memory, which is faster
        total = z.sum(1, keepdim=True)
        log_total = total.log2() + highest
        nll[part], right[part] = (log_total - own)[:, 0], (own == highest)[:, 0]
        loss += (log_total - (1 - smoothing) * own).sum()
        if mean is not None:
            loss -= smoothing * mean * len(label)
        if sums is None:
            continue
        # Gradient of the labels' losses, softmax - target, times the total.
        if smoothing:
            z.sub_(total * (smoothing / words))
        z.scatter_add_(1, label, total * (smoothing - 1))
        sums.add(part, z, total[:, 0].reciprocal_(), features[part], weight)
    return WordLoss(loss * (LN_2 / count), nll.mul_(LN_2), right)

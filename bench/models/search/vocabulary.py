"""From features to log-probabilities of the next token, as a search wants them at every step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeGuard

import torch
from torch import Tensor

from bench.errors import UsageError
from bench.models.aligned import aligned_rows
from bench.models.head import VocabularyHead
from bench.models.search.hypotheses import Head


class NextToken:
    """The head of one search. Its buffer serves all steps, the rows of which never become more.

    Raises:
        UsageError: the end token is forbidden.
    """

    def __init__(self, head: Head, forbidden: Sequence[int], eos: int) -> None:
        if eos in forbidden:
            raise UsageError("the end token cannot be forbidden")
        self._head = head
        self._forbidden = sorted(set(forbidden))
        self._never: Tensor | None = None
        self._buffer: Tensor | None = None

    def __call__(self, features: Tensor) -> Tensor:
        """Features N,1,F to log-probabilities N,V in float32 or wider, -inf for forbidden tokens.
        They last until the next call.

        What remains is not normalised again: scores stay those of the model.
        """
        if self._never is None:
            self._never = torch.tensor(self._forbidden, dtype=torch.int64, device=features.device)
        if _plain_product(self._head, features):
            log_probs = self._aligned(self._head, features[:, 0])
        else:
            logits = self._head(features)[:, 0]
            if logits.dtype in (torch.bfloat16, torch.float16):
                logits = logits.float()
            log_probs = torch.log_softmax(logits, dim=-1)
        return log_probs.index_fill_(-1, self._never, float("-inf"))

    def _aligned(self, head: VocabularyHead, features: Tensor) -> Tensor:
        """The head's log-probabilities of N,F features."""
        weight, bias = head.projection.weight, head.projection.bias  # V,F and V
        rows, size = len(features), len(weight)
        if self._buffer is None or len(self._buffer) < rows:
            self._buffer = aligned_rows(rows, size, features)
            self._buffer[:, size:] = float("-inf")  # no share of the probability
        logits = self._buffer[:rows]
        torch.addmm(bias, features, weight.t(), out=logits[:, :size])
        # With its padding the buffer is contiguous; without, it would be copied first. A further
        # buffer would leave the cache.
        return torch.log_softmax(logits, dim=-1, out=logits)[:, :size]


def _plain_product(head: Head, features: Tensor) -> TypeGuard[VocabularyHead]:
    """Whether the head is a product in float32 on the CPU, of which no gradient is wanted."""
    return (
        isinstance(head, VocabularyHead)
        and features.device.type == "cpu"
        and features.dtype == head.projection.weight.dtype == torch.float32
        and not torch.is_autocast_enabled("cpu")
        and not torch.is_grad_enabled()
    )

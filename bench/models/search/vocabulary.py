"""From features to log-probabilities of the next token, as a search wants them at every step."""

from __future__ import annotations

from collections.abc import Sequence

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

        What remains is not normalised again: scores stay those of the model.
        """
        logits = self._logits(features)
        if logits.dtype in (torch.bfloat16, torch.float16):
            logits = logits.float()
        if self._never is None:
            self._never = torch.tensor(self._forbidden, dtype=torch.int64, device=features.device)
        return torch.log_softmax(logits, dim=-1).index_fill_(-1, self._never, float("-inf"))

    def _logits(self, features: Tensor) -> Tensor:
        head = self._head
        aligned = (
            isinstance(head, VocabularyHead)
            and features.device.type == "cpu"
            and features.dtype == head.projection.weight.dtype == torch.float32
            and not torch.is_autocast_enabled("cpu")
            and not torch.is_grad_enabled()
        )
        if not aligned:
            return head(features)[:, 0]
        assert isinstance(head, VocabularyHead)
        weight, bias = head.projection.weight, head.projection.bias  # V,F and V
        rows, size = len(features), len(weight)
        if self._buffer is None or len(self._buffer) < rows:
            self._buffer = aligned_rows(rows, size, features)
        out = self._buffer[:rows, :size]
        return torch.addmm(bias, features[:, 0], weight.t(), out=out)

"""Several single steps joined to one result."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.attention.base import Attended, Sampled


def join_steps(steps: Sequence[Attended]) -> Attended:
    """The results of calls with T = 1, made in this order, as that of one call."""
    first, last = steps[0], steps[-1]
    sampled = None
    if first.sampled is not None:
        drawn = [step.sampled for step in steps if step.sampled is not None]
        sampled = Sampled(
            torch.cat([one.log_prob for one in drawn], 1),
            torch.cat([one.entropy for one in drawn], 1),
        )
    return Attended(
        torch.cat([step.context for step in steps], 1),
        last.state,
        None if first.weights is None else _join([step.weights for step in steps]),
        {name: _join([step.parts[name] for step in steps]) for name in first.parts},
        sampled,
    )


def _join(tensors: Sequence[Tensor | None]) -> Tensor:
    return torch.cat([tensor for tensor in tensors if tensor is not None], 1)

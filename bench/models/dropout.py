"""Dropout that does not spend a training step on random numbers.

PyTorch's CPU generator makes one number per element, which for models of our size takes longer
than the products it sits between. Here one 64-bit draw decides four elements.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.stacking.fold import fold_in_force

#: Values of the 16 bits that decide one element.
LEVELS = 2**16


def dropout(tensor: Tensor, probability: float, training: bool, step: int | None = None) -> Tensor:
    """Zeros with that probability, the rest scaled to keep the mean (Srivastava 2014).

    On a CPU the probability is rounded to a multiple of 1/65536. Draws from PyTorch's default
    generator, so a seed fixes the outcome; of several models in a fold, each draws from its own
    stream.

    Args:
        step: the target step, where a decoder drops step by step.
    """
    if not training or probability == 0.0:
        return tensor
    fold = fold_in_force()
    if fold is not None:
        return tensor * fold.drawn(tensor, lambda shape: _factors(tensor, shape, probability), step)
    if tensor.device.type != "cpu":
        return F.dropout(tensor, probability, training)
    return tensor * _factors(tensor, tensor.shape, probability)


def _factors(like: Tensor, shape: tuple[int, ...], probability: float) -> Tensor:
    """Zeros with that probability, else what keeps the mean."""
    if like.device.type != "cpu":
        return F.dropout(like.new_ones(shape), probability)
    dropped = round(probability * LEVELS)
    if dropped == LEVELS:
        return like.new_zeros(shape)
    count = torch.Size(shape).numel()
    draws = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    levels = draws.view(torch.int16)[:count].view(shape)  # uniform over LEVELS values
    kept = (levels >= dropped - LEVELS // 2).to(like.dtype)
    return kept.mul_(LEVELS / (LEVELS - dropped))

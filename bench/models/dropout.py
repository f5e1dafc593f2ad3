"""Dropout that does not spend a training step on random numbers.

PyTorch's CPU generator makes one number per element, which for models of our size takes longer
than the products it sits between. Here one 64-bit draw decides four elements.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

#: Values of the 16 bits that decide one element.
LEVELS = 2**16


def dropout(tensor: Tensor, probability: float, training: bool) -> Tensor:
    """Zeros with that probability, the rest scaled to keep the mean (Srivastava 2014).

    On a CPU the probability is rounded to a multiple of 1/65536. Draws from PyTorch's default
    generator, so a seed fixes the outcome.
    """
    if not training or probability == 0.0:
        return tensor
    if tensor.device.type != "cpu":
        return F.dropout(tensor, probability, training)
    return tensor * dropout_factors(tensor.shape, probability, tensor)


def dropout_factors(shape: Sequence[int], probability: float, like: Tensor) -> Tensor:
    """What dropout multiplies a tensor of this shape by: zeros with that probability, and what
    keeps the mean. It has the type of `like`."""
    if like.device.type != "cpu":
        return F.dropout(like.new_ones(shape), probability)
    dropped = round(probability * LEVELS)
    if dropped == LEVELS:
        return like.new_zeros(shape)
    count = math.prod(shape)
    draws = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    levels = draws.view(torch.int16)[:count].view(shape)  # uniform over LEVELS values
    # In place: a comparison that makes bool is ten times as slow.
    kept = levels.ge_(dropped - LEVELS // 2).to(like.dtype)
    return kept.mul_(LEVELS / (LEVELS - dropped))

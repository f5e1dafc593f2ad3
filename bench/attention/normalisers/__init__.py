"""Normalisers: energies to weights. One file each; the registry finds them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from torch import Tensor


class Normaliser(ABC):
    """A map without parameters from energies to weights that are not negative and sum to 1.

    An instance is filed with `normalisers.register(name)(Kind())`.
    """

    #: One line: what it is.
    summary: ClassVar[str] = ""
    citation: ClassVar[str] = ""
    #: True if torch's scaled_dot_product_attention computes the same.
    supports_sdpa: ClassVar[bool] = False

    @abstractmethod
    def __call__(self, scores: Tensor, mask: Tensor | None) -> Tensor:
        """Weights along the last dimension, in the dtype of the scores (or wider).

        Args:
            scores: ...,S of any size; what lies under the mask may be anything, NaN included.
            mask: bool, broadcastable to the scores, True where real; None if all are. Every row
                has at least one real position.

        Returns:
            ...,S; exactly 0 where masked.
        """


def masked(scores: Tensor, mask: Tensor | None) -> Tensor:
    """Return the scores in float32 or wider, -inf where masked."""
    if scores.dtype in (torch.bfloat16, torch.float16):
        scores = scores.float()
    return scores if mask is None else torch.where(mask, scores, float("-inf"))

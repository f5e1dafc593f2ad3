"""How often captions use each word: where output layers start, so that no step is spent on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from tasks.text.encoded import EncodedTexts
from tasks.text.tokenise import PAD

# Counted once more than they occur, so that no logarithm is infinite.
_EXTRA = 0.5


@dataclass(frozen=True)
class Frequencies:
    """Of the training captions.

    Attributes:
        uses: V, occurrences of every token, end tokens counted.
        captions: V, captions that use it.
        total: number of captions.
    """

    uses: np.ndarray
    captions: np.ndarray
    total: int

    @classmethod
    def of(cls, captions: EncodedTexts, size: int) -> Frequencies:
        """Of these captions, in a vocabulary of `size` tokens."""
        tokens = captions.batch(np.arange(len(captions)), end=True).tokens  # N,T
        uses = np.bincount(tokens[tokens != PAD], minlength=size)
        different = np.sort(tokens, axis=1)
        first = np.diff(different, axis=1, prepend=-1) != 0
        used = np.bincount(different[first & (different != PAD)], minlength=size)
        return cls(uses, used, len(captions))

    def log_shares(self) -> Tensor:
        """V: log of each token's share of all occurrences."""
        counts = self.uses + _EXTRA
        return torch.from_numpy(np.log(counts / counts.sum())).float()

    def log_odds(self) -> Tensor:
        """V: log-odds that a caption uses the word."""
        share = (self.captions + _EXTRA) / (self.total + 2 * _EXTRA)
        return torch.from_numpy(np.log(share / (1 - share))).float()

"""Word embeddings of entailment: fixed vectors from the spelling, and a slowly learned part.

On some thousands of pairs, freely learned embeddings memorize single pairs and lose what counts
most: whether two words are the same. Fixed random vectors are nearly orthogonal, so they keep it;
those of character n-grams (Bojanowski 2017) also bring "jumps" near to "jumping". The rest of the
model is `tasks.training.classifier`'s.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Number of vectors, which n-grams share by their hash; a few thousand words have some ten thousand
# n-grams.
_BUCKETS = 2**15
_LENGTHS = (3, 4, 5)


def spelling_vectors(words: Sequence[str | None], size: int, share: float) -> Tensor:
    """Unit vectors for N words, N,E float32; deterministic.

    Each is the sum of a random vector of the word's own and, with weight `share`, the mean
    direction of random vectors of its n-grams. None (a word without spelling) gets a random vector.
    """
    table = np.random.default_rng(1).standard_normal((_BUCKETS, size), dtype=np.float32)
    rows = np.random.default_rng(2).standard_normal((len(words), size), dtype=np.float32)
    rows = _unit(rows) if share < 1 else rows
    for row, word in enumerate(words):
        if word is None:
            continue
        own = _unit(table[_bucket(f"<{word}>")])
        parts = _unit(table[[_bucket(part) for part in ngrams(word)]].sum(axis=0))
        rows[row] = (1 - share) ** 0.5 * own + share**0.5 * parts
    return torch.from_numpy(_unit(rows))


def ngrams(word: str) -> Iterator[str]:
    """The character n-grams of a word, with `<` and `>` at its borders."""
    text = f"<{word}>"
    for length in _LENGTHS:
        for start in range(max(1, len(text) - length + 1)):
            yield text[start : start + length]


class WordEmbedding(nn.Embedding):
    """Embedding `fixed + rate * learned`; the learned part starts at 0, padding (token 0) stays 0.

    Args:
        fixed: V,E.
        rate: under Adam, how much slower the learned part moves; 0 learns nothing.
    """

    fixed: Tensor

    def __init__(self, fixed: Tensor, rate: float) -> None:
        super().__init__(fixed.shape[0], fixed.shape[1], padding_idx=0)
        nn.init.zeros_(self.weight)
        self.weight.requires_grad_(rate > 0)
        self.rate = rate
        fixed = fixed.clone()
        fixed[0] = 0.0
        self.register_buffer("fixed", fixed)

    def forward(self, tokens: Tensor) -> Tensor:
        vectors = F.embedding(tokens, self.fixed)  # ...,E
        return vectors + self.rate * super().forward(tokens) if self.rate else vectors


def _bucket(text: str) -> int:
    return zlib.crc32(text.encode()) % _BUCKETS


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)

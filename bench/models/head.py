"""Heads: from a decoder's features to scores of tokens."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from bench.models.vocabulary_loss import WordLoss, vocabulary_loss


class VocabularyHead(nn.Module):
    """Features ...,F to logits ...,V.

    Tied (Press and Wolf 2017) it shares the target embedding's matrix; the features are then as
    large as the embedding, and start at a scale that suits both uses.
    """

    def __init__(self, size: int, embedding: nn.Embedding, *, tied: bool = True) -> None:
        super().__init__()
        self.projection = nn.Linear(size, embedding.num_embeddings)
        nn.init.zeros_(self.projection.bias)
        if tied:
            assert size == embedding.embedding_dim, (size, embedding.embedding_dim)
            self.projection.weight = embedding.weight

    def forward(self, features: Tensor) -> Tensor:
        return F.linear(features, self.projection.weight, self.projection.bias)

    def loss(self, features: Tensor, labels: Tensor, *, smoothing: float = 0.0) -> WordLoss:
        """Cross-entropy of N,F features and N labels; the logits are not kept."""
        projection = self.projection
        return vocabulary_loss(
            features, projection.weight, projection.bias, labels, smoothing=smoothing
        )

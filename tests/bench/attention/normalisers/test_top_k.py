"""The top-k softmax against its formula."""

from __future__ import annotations

import math

import pytest
import torch

from bench.attention.attention import ScoredOptions
from bench.attention.normalisers.top_k import TopK


@pytest.mark.parametrize("k", [1, 3, 9])
def test_the_k_largest_energies_share_the_weight(k: int) -> None:
    torch.manual_seed(1)
    scores = torch.randn(4, 6, dtype=torch.float64)
    mask = torch.tensor([True, False, True, True, True, False])
    weights = TopK(k)(scores, mask)
    for row, found in zip(scores.tolist(), weights.tolist(), strict=True):
        real = [s for s in range(6) if mask[s]]
        kept = sorted(real, key=lambda s: -row[s])[:k]
        total = sum(math.exp(row[s]) for s in kept)
        expected = [math.exp(row[s]) / total if s in kept else 0.0 for s in range(6)]
        assert found == pytest.approx(expected, abs=1e-12)


def test_equal_energies_are_kept_together() -> None:
    weights = TopK(1)(torch.tensor([2.0, 2.0, 1.0]), None)
    assert weights.tolist() == [0.5, 0.5, 0.0]


def test_k_is_an_option_of_the_mechanism() -> None:
    made = TopK().for_heads(2, ScoredOptions(top_k=3))
    assert isinstance(made, TopK) and made.k == 3

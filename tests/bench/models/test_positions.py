"""Sinusoids and learned positions."""

from __future__ import annotations

import math

import pytest
import torch

from bench.errors import UsageError
from bench.models.base import ModelConfig
from bench.models.transformer import LearnedPositions, Positions, sinusoids


def test_sinusoids_by_hand() -> None:
    table = sinusoids(3, 2, torch.zeros(1, 4, dtype=torch.float64))
    expected = [[math.sin(p), math.sin(p * 1e-4), math.cos(p), math.cos(p * 1e-4)] for p in (3, 4)]
    torch.testing.assert_close(table, torch.tensor(expected).double(), atol=1e-6, rtol=0)


def test_a_step_gets_the_row_of_the_whole_and_positions_differ() -> None:
    like = torch.zeros(1, 7)
    whole = sinusoids(0, 50, like)
    assert whole.shape == (50, 7)
    torch.testing.assert_close(sinusoids(31, 1, like), whole[31:32])
    distances = torch.cdist(whole, whole) + torch.eye(50)
    assert distances.min() > 0.1


def test_a_position_that_was_never_learned_is_refused() -> None:
    positions = LearnedPositions(5, 4)
    torch.testing.assert_close(positions(3, 2), positions.table.weight[3:5])
    with pytest.raises(UsageError, match=r"6 units has only 5 learned positions.*max_positions"):
        positions(3, 3)


def test_a_transformer_adds_the_positions_that_its_sizes_ask_for() -> None:
    states = torch.randn(2, 3, 4)
    for kind in ("sinusoids", "learned"):
        positions = Positions(ModelConfig(hidden=4, positions=kind, max_positions=9))
        table = sinusoids(5, 3, states) if positions.learned is None else positions.learned(5, 3)
        torch.testing.assert_close(positions(states, 5), states + table)
        assert (positions.learned is None) == (kind == "sinusoids")
        assert (len(list(positions.parameters())) == 0) == (kind == "sinusoids")

"""`dynamic-convolution`: its prior, and that it goes by places alone. (Its energies are tried with
those of all scores.)"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import betabinom

from bench.attention.attention import build_attention
from bench.attention.base import Memory, Sizes
from bench.attention.registries import scores
from bench.attention.scores.dynamic_convolution import ALPHA, BETA, beta_binomial

SIZE = 4


@pytest.mark.parametrize("size", [1, 2, 11, 40])
def test_the_prior_is_scipys_beta_binomial(size: int) -> None:
    expected = betabinom.pmf(np.arange(size), size - 1, ALPHA, BETA)
    assert beta_binomial(size) == pytest.approx(expected.tolist())


def test_attention_moves_on_by_one_position_a_step_on_average() -> None:
    prior = beta_binomial(11)
    assert sum(prior) == pytest.approx(1.0)
    assert sum(moved * chance for moved, chance in enumerate(prior)) == pytest.approx(1.0)


def test_without_its_filters_attention_moves_by_the_prior() -> None:
    score = scores.get("dynamic-convolution").build(SIZE, SIZE).double()
    torch.nn.init.zeros_(score.vector)
    previous = torch.tensor([0.0, 0.0, 0.5, 0.5] + [0.0] * 16, dtype=torch.float64)
    query, keys = torch.randn(1, 1, SIZE).double(), torch.randn(1, 20, SIZE).double()
    energies = score(query, score.project_keys(keys), {"previous": previous[None, None]})
    moved = torch.from_numpy(np.convolve(previous.numpy(), score.prior.numpy())[:20])
    torch.testing.assert_close(energies[0, 0, 0].exp(), moved.clamp_min(1e-6))
    assert (energies[0, 0, 0, :2].exp() < 2e-6).all(), "nothing moves backwards"


def test_what_stands_at_a_place_has_no_part_in_it() -> None:
    module = build_attention("global", Sizes(SIZE, SIZE), "dynamic-convolution").double()
    query = torch.randn(2, 3, SIZE, dtype=torch.float64)
    weights = []
    for _ in range(2):
        states = torch.randn(2, 9, SIZE, dtype=torch.float64)
        keys = module.prepare(Memory(states, torch.ones(2, 9, dtype=torch.bool), states[:, 0]))
        weights.append(module(query, keys, module.initial_state(keys)).weights)
    torch.testing.assert_close(*weights)

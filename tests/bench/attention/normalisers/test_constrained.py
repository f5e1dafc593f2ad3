"""The constrained normalisers against scipy's optimiser, and what fertilities do over steps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch.autograd import gradcheck

from bench.attention.attention import ScoredOptions, build_attention
from bench.attention.base import Memory, Sizes
from bench.attention.normalisers.constrained_softmax import Constrained, ConstrainedSoftmax
from bench.attention.normalisers.constrained_sparsemax import ConstrainedSparsemax
from bench.attention.registries import attentions
from bench.errors import NotApplicable

BOTH = [ConstrainedSoftmax, ConstrainedSparsemax]


def by_root(kind: type[Constrained], scores: np.ndarray, bounds: np.ndarray) -> np.ndarray:
    """p = min(u, exp(e - tau)) or max(0, min(u, e - tau)), tau such that p sums to 1."""

    def weights(tau: float) -> np.ndarray:
        if kind is ConstrainedSoftmax:
            return np.minimum(bounds, np.exp(scores - tau))
        return np.clip(scores - tau, 0, bounds)

    low, high = scores.min() - 2, scores.max() + np.log(len(scores)) + 1
    return weights(brentq(lambda tau: weights(tau).sum() - 1, low, high, xtol=1e-14))


def random_case(seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    scores = 2 * torch.randn(7, generator=generator, dtype=torch.float64)
    bounds = 0.5 * torch.rand(7, generator=generator, dtype=torch.float64)
    bounds[seed % 6] = 0.0  # used up
    bounds[-1] = float("inf")
    return scores, bounds


@pytest.mark.parametrize("kind", BOTH)
@pytest.mark.parametrize("seed", range(12))
def test_weights_are_the_nearest_under_the_bounds(kind: type[Constrained], seed: int) -> None:
    scores, bounds = random_case(seed)
    found = kind().bounded(scores, bounds)
    assert found.sum().item() == pytest.approx(1)
    np.testing.assert_allclose(found, by_root(kind, scores.numpy(), bounds.numpy()), atol=1e-9)


@pytest.mark.parametrize("kind", BOTH)
def test_gradients_reach_scores_and_bounds(kind: type[Constrained]) -> None:
    scores, bounds = random_case(3)
    bounds = (bounds[:-1] + 0.01).requires_grad_()
    last = torch.tensor([float("inf")], dtype=torch.float64)

    def weights(scores: torch.Tensor, bounds: torch.Tensor) -> torch.Tensor:
        return kind().bounded(scores, torch.cat([bounds, last]))

    assert gradcheck(weights, (scores.requires_grad_(), bounds), eps=1e-7)


@pytest.mark.parametrize("kind", BOTH)
def test_no_position_gets_more_than_its_fertility(kind: type[Constrained]) -> None:
    normaliser = kind(0.7)
    mask = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
    tensors = normaliser.initial_tensors(mask, 2)
    total = torch.zeros(2, 2, 5)
    for _ in range(6):
        weights, tensors = normaliser.step(torch.randn(2, 2, 1, 5), mask[:, None, None], tensors)
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 2, 1))
        total += weights[:, :, 0]
    assert (total[0, :, :4] <= 0.7 + 1e-5).all() and (total[1, :, :2] <= 0.7 + 1e-5).all()
    assert (total[0, :, 4] > 0.7).all() and (total[1, :, 3:] == 0).all()


def test_a_decoder_carries_what_is_left() -> None:
    options = ScoredOptions(normaliser="constrained-softmax", fertility=0.5)
    module = build_attention("soft", Sizes(4, 4), "dot", _soft(options)).double()
    states = torch.randn(1, 5, 4, dtype=torch.float64)
    keys = module.prepare(Memory(states, torch.ones(1, 5, dtype=torch.bool), states[:, 0]))
    query = torch.randn(1, 3, 4, dtype=torch.float64)
    found = module(query, keys, module.initial_state(keys))
    left = torch.full((5,), 0.5, dtype=torch.float64)
    for t in range(3):
        bounds = torch.cat([left[:4], torch.tensor([float("inf")], dtype=torch.float64)])
        scores = states[0] @ query[0, t]
        expected = by_root(ConstrainedSoftmax, scores.numpy(), bounds.numpy())
        np.testing.assert_allclose(found.weights[0, t], expected, atol=1e-9)
        left = (left - found.weights[0, t]).clamp_min(0)


def _soft(options: ScoredOptions) -> ScoredOptions:
    return attentions.get("soft").Options(**options.model_dump(exclude_defaults=True))


@pytest.mark.parametrize(("attention", "said"), [("self", "recurrent"), ("hierarchical", "step")])
def test_where_nothing_goes_step_by_step_it_is_refused(attention: str, said: str) -> None:
    options = attentions.get(attention).Options(normaliser="constrained-softmax")
    with pytest.raises(NotApplicable, match=said):
        build_attention(attention, Sizes(4, 4), None, options)

"""alpha-entmax against a root finder, and the gradient of its alpha."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor
from torch.autograd import gradcheck

from bench.attention.normalisers.alpha_entmax import AlphaEntmax
from bench.attention.registries import normalisers


def with_alphas(*alphas: float) -> AlphaEntmax:
    module = AlphaEntmax(len(alphas)).double()
    with torch.no_grad():
        module.a.copy_(torch.tensor(alphas, dtype=torch.float64).sub(1).logit())
    return module


def by_root(scores: np.ndarray, alpha: float) -> np.ndarray:
    z = (alpha - 1) * scores

    def weights(tau: float) -> np.ndarray:
        return np.maximum(z - tau, 0) ** (1 / (alpha - 1))

    return weights(brentq(lambda tau: weights(tau).sum() - 1, z.max() - 1, z.max(), xtol=1e-15))


@pytest.mark.parametrize("alpha", [1.1, 1.5, 1.9])
@pytest.mark.parametrize("scale", [0.3, 5.0])
def test_weights_are_those_of_the_root(alpha: float, scale: float) -> None:
    scores = scale * torch.randn(5, 8, dtype=torch.float64)
    found = with_alphas(alpha)(scores, None)
    for row, weights in zip(scores.numpy(), found, strict=True):
        np.testing.assert_allclose(weights.detach().numpy(), by_root(row, alpha), atol=1e-10)


def test_every_head_has_an_alpha_of_its_own() -> None:
    scores = torch.randn(2, 2, 3, 6, dtype=torch.float64)
    found = with_alphas(1.2, 1.8)(scores, None)
    for head, alpha in enumerate((1.2, 1.8)):
        torch.testing.assert_close(found[:, head], with_alphas(alpha)(scores[:, head], None))


def test_the_first_alpha_is_that_of_entmax() -> None:
    scores = torch.randn(4, 7, dtype=torch.float64)
    expected = normalisers.get("entmax")(scores, None)
    torch.testing.assert_close(AlphaEntmax().double()(scores, None), expected)


def test_gradients_reach_scores_and_alphas() -> None:
    scores = torch.randn(2, 2, 3, 5, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([True, True, False, True, True])
    module = with_alphas(1.3, 1.7)

    def weights(scores: Tensor, a: Tensor) -> Tensor:
        found: Tensor = torch.func.functional_call(module, {"a": a}, (scores, mask))
        return found

    assert gradcheck(weights, (scores, module.a.detach().requires_grad_()), eps=1e-7, atol=1e-5)

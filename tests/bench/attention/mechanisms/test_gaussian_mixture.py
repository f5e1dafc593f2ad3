"""`gaussian-mixture` against Graves 2013, equations 46 to 51, and the variants of Battenberg 2020,
written out with loops."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench.attention.attention import build_attention
from bench.attention.base import Memory, Sizes
from bench.attention.mechanisms.gaussian_mixture import GaussianMixture, GaussianMixtureOptions

SIZE = 4
Make = Callable[..., Memory]


def build(ratio: float = 1.0, **options: object) -> GaussianMixture:
    sizes = Sizes(SIZE, SIZE, length_ratio=ratio)
    module = build_attention("gaussian-mixture", sizes, None, GaussianMixtureOptions(**options))
    assert isinstance(module, GaussianMixture)
    return module.double()


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def written_out(module: GaussianMixture, query: Tensor, length: int) -> list[list[float]]:
    """Weights of every step T,Q over positions 1 to `length`."""
    K = module.components
    kappa = [0.0] * K
    rows = []
    weight, bias = module.window.weight.tolist(), module.window.bias.tolist()
    for q in query.tolist():
        raw = [
            sum(w * x for w, x in zip(row, q, strict=True)) + b
            for row, b in zip(weight, bias, strict=True)
        ]
        heights, widths, moves = raw[:K], raw[K : 2 * K], raw[2 * K :]
        move = softplus if module.version == "v2" else math.exp
        kappa = [k + move(m) for k, m in zip(kappa, moves, strict=True)]
        if module.version == "v0":
            alpha, beta = [math.exp(h) for h in heights], [math.exp(w) for w in widths]
        else:
            sigma = [
                softplus(w) if module.version == "v2" else math.sqrt(math.exp(w)) for w in widths
            ]
            total = sum(math.exp(h) for h in heights)
            alpha = [
                math.exp(h) / total / math.sqrt(2 * math.pi * s * s)
                for h, s in zip(heights, sigma, strict=True)
            ]
            beta = [1 / (2 * s * s) for s in sigma]
        rows.append(
            [
                sum(alpha[k] * math.exp(-beta[k] * (kappa[k] - u) ** 2) for k in range(K))
                for u in range(1, length + 1)
            ]
        )
    return rows


@pytest.mark.parametrize("version", ["v0", "v1", "v2"])
def test_the_window_is_the_papers(make_memory: Make, version: str) -> None:
    module = build(components=3, version=version)
    memory = make_memory([6, 2], SIZE)
    query = torch.randn(2, 5, SIZE, dtype=torch.float64)
    keys = module.prepare(memory)
    found = module(query, keys, module.initial_state(keys))
    for row, length in enumerate((6, 2)):
        expected = torch.tensor(written_out(module, query[row], length), dtype=torch.float64)
        torch.testing.assert_close(found.weights[row, :, :length], expected)
        assert (found.weights[row, :, length:] == 0).all()
        context = expected @ memory.states[row, :length]
        torch.testing.assert_close(found.context[row], context)


@pytest.mark.parametrize("version", ["v0", "v1", "v2"])
def test_the_first_move_is_the_length_ratio(make_memory: Make, version: str) -> None:
    module = build(2.5, version=version)
    keys = module.prepare(make_memory([6], SIZE))
    still = torch.zeros(1, 3, SIZE, dtype=torch.float64)
    moved = module(still, keys, module.initial_state(keys)).state.tensors["kappa"]
    torch.testing.assert_close(moved, torch.full_like(moved, 7.5))


def test_normalised_components_sum_to_about_1(make_memory: Make) -> None:
    module = build(8.0, version="v2")
    with torch.no_grad():
        module.window.weight.zero_()
        module.window.bias[5:10] = 1.0
    keys = module.prepare(make_memory([40], SIZE))
    found = module(torch.ones(1, 2, SIZE).double(), keys, module.initial_state(keys))
    sums = found.weights.sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums), atol=1e-3, rtol=0)

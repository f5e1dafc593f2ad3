"""Every normaliser: what all share, and each against an independent oracle."""

from __future__ import annotations

import entmax as oracle
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.autograd import gradcheck

from bench.attention.registries import normalisers

ALL = normalisers.names()
DISTRIBUTIONS = [name for name, one in normalisers.items() if one.weights_kind == "distribution"]
JUNK = [float("nan"), float("inf"), float("-inf"), 1e30]


@st.composite
def masked_rows(draw: st.DrawFn) -> tuple[Tensor, Tensor]:
    """Rows R,S of scores of any scale and masks with at least one real position each."""
    rows, size = draw(st.integers(1, 3)), draw(st.integers(1, 9))
    scale = draw(st.sampled_from([0.0, 0.1, 1.0, 30.0, 1e4]))
    torch.manual_seed(draw(st.integers(0, 2**16)))
    mask = torch.rand(rows, size) < draw(st.floats(0.1, 1.0))
    mask[torch.arange(rows), torch.randint(size, (rows,))] = True
    return scale * torch.randn(rows, size), mask


@pytest.mark.parametrize("name", DISTRIBUTIONS)
@settings(deadline=None, max_examples=60)
@given(case=masked_rows())
def test_rows_are_distributions_over_what_is_real(name: str, case: tuple[Tensor, Tensor]) -> None:
    scores, mask = case
    weights = normalisers.get(name)(scores, mask)
    assert weights.dtype == scores.dtype
    assert (weights >= 0).all()
    assert (weights[~mask] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones(len(scores)), atol=2e-6, rtol=0)


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_long_rows_sum_to_1_all_the_same(name: str) -> None:
    """Running sums over a thousand nearly equal scores lose digits."""
    torch.manual_seed(1000)
    weights = normalisers.get(name)(0.1 * torch.randn(4, 1000), None)
    torch.testing.assert_close(weights.sum(-1), torch.ones(4), atol=5e-7, rtol=0)


@pytest.mark.parametrize("name", ALL)
@settings(deadline=None, max_examples=40)
@given(case=masked_rows())
def test_masking_equals_leaving_out(name: str, case: tuple[Tensor, Tensor]) -> None:
    normalise = normalisers.get(name)
    scores, mask = case
    together = normalise(scores, mask)
    for row in range(len(scores)):
        alone = normalise(scores[row][mask[row]], None)
        torch.testing.assert_close(together[row][mask[row]], alone, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("junk", JUNK)
@pytest.mark.parametrize("name", ALL)
def test_nothing_leaks_from_under_the_mask(name: str, junk: float) -> None:
    normalise = normalisers.get(name)
    mask = torch.tensor([True, False, True, True, False])
    clean = torch.randn(2, 5, dtype=torch.float64)
    dirty = clean.masked_fill(~mask, junk).requires_grad_()
    clean = clean.requires_grad_()
    upstream = torch.randn(2, 5, dtype=torch.float64)
    results = [normalise(scores, mask) for scores in (clean, dirty)]
    torch.testing.assert_close(*results)
    gradients = [
        torch.autograd.grad((weights * upstream).sum(), scores)[0]
        for weights, scores in zip(results, (clean, dirty), strict=True)
    ]
    torch.testing.assert_close(*gradients)
    assert (gradients[1][:, ~mask] == 0).all()


@pytest.mark.parametrize("name", ALL)
def test_no_mask_is_a_mask_of_all(name: str) -> None:
    scores = torch.randn(2, 1, 3, 4)
    normalise = normalisers.get(name)
    everything = torch.ones(2, 1, 1, 4, dtype=torch.bool)
    torch.testing.assert_close(normalise(scores, None), normalise(scores, everything))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("offset", [-3e4, 3e4])
def test_large_scores_are_safe(name: str, offset: float) -> None:
    scores = (torch.tensor([[0.0, 1.0, 2.0, -5e4]]) + offset).requires_grad_()
    weights = normalisers.get(name)(scores, None)
    if name in DISTRIBUTIONS:
        torch.testing.assert_close(weights.sum(-1), torch.ones(1), atol=1e-5, rtol=0)
    (gradient,) = torch.autograd.grad(weights.square().sum(), scores)
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", ALL)
def test_half_precision_is_computed_in_single(name: str, dtype: torch.dtype) -> None:
    normalise = normalisers.get(name)
    scores = (3 * torch.randn(4, 50)).to(dtype)
    weights = normalise(scores, None)
    assert weights.dtype == dtype
    torch.testing.assert_close(weights, normalise(scores.float(), None).to(dtype))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("spread", [0.3, 3.0])
def test_gradients_agree_with_finite_differences(name: str, spread: float) -> None:
    mask = torch.tensor([[True] * 6, [True, False, True, True, False, True]])
    scores = (spread * torch.randn(3, 2, 6, dtype=torch.float64)).requires_grad_()
    assert gradcheck(lambda z: normalisers.get(name)(z, mask), (scores,), eps=1e-7)


@pytest.mark.parametrize("name", ALL)
def test_every_normaliser_says_what_it_is(name: str) -> None:
    assert normalisers.get(name).summary and normalisers.get(name).citation


@pytest.mark.parametrize(
    ("name", "reference"),
    [("sparsemax", oracle.sparsemax), ("entmax", oracle.entmax15)],
)
@pytest.mark.parametrize("size", [1, 2, 7, 300])
@pytest.mark.parametrize("scale", [0.01, 1.0, 20.0])
def test_against_the_entmax_library(name: str, reference, size: int, scale: float) -> None:
    scores = (scale * torch.randn(5, size, dtype=torch.float64)).requires_grad_()
    upstream = torch.randn(5, size, dtype=torch.float64)
    ours, theirs = normalisers.get(name)(scores, None), reference(scores, dim=-1)
    torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-7)
    gradients = [torch.autograd.grad((p * upstream).sum(), scores)[0] for p in (ours, theirs)]
    torch.testing.assert_close(*gradients, atol=1e-7, rtol=1e-5)


@pytest.mark.parametrize(("name", "power"), [("sparsemax", 1), ("entmax", 2)])
def test_long_rows_in_single_precision_still_sum_to_1(name: str, power: int) -> None:
    scores = 0.01 * torch.randn(4, 3000)
    weights = normalisers.get(name)(scores, None)
    torch.testing.assert_close(weights.sum(-1), torch.ones(4), atol=1e-5, rtol=0)
    # Positions in the support keep their distances: p^(1/power) grows with the score.
    order = scores.argsort(-1)
    assert (weights.gather(-1, order).diff(dim=-1) >= 0).all()


def test_sparsemax_is_the_projection_onto_the_simplex() -> None:
    """No other distribution lies nearer; tried on a fine lattice of the simplex."""
    steps = 60
    lattice = torch.tensor(
        [(i, j, steps - i - j) for i in range(steps + 1) for j in range(steps + 1 - i)],
        dtype=torch.float64,
    )
    lattice /= steps
    for scores in torch.randn(20, 3, dtype=torch.float64):
        nearest = (lattice - scores).square().sum(-1).min()
        weights = normalisers.get("sparsemax")(scores, None)
        assert (weights - scores).square().sum() <= nearest + 1e-12


def test_softmax_and_smooth_are_their_formulas() -> None:
    scores = torch.randn(3, 5, dtype=torch.float64)
    exponentials, sigmoids = scores.exp(), 1 / (1 + (-scores).exp())
    torch.testing.assert_close(
        normalisers.get("softmax")(scores, None), exponentials / exponentials.sum(-1, keepdim=True)
    )
    torch.testing.assert_close(
        normalisers.get("smooth")(scores, None), sigmoids / sigmoids.sum(-1, keepdim=True)
    )


@pytest.mark.parametrize("name", ["softmax", "sparsemax", "entmax"])
def test_a_constant_added_changes_nothing(name: str) -> None:
    scores = torch.randn(3, 5, dtype=torch.float64)
    normalise = normalisers.get(name)
    torch.testing.assert_close(normalise(scores, None), normalise(scores + 17.0, None))

"""The vocabulary loss and the penalties on attention weights."""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from bench.attention.attention import build_attention
from bench.attention.base import Sizes
from bench.attention.registries import attentions
from bench.errors import NotApplicable
from bench.models import losses as module
from bench.models.losses import (
    attention_penalties,
    coverage_loss,
    doubly_stochastic_penalty,
    guided_attention_loss,
    vocabulary_loss,
)

Parts = tuple[Tensor, Tensor, Tensor, Tensor]


def parts(count: int, words: int, size: int, dtype: torch.dtype = torch.float64) -> Parts:
    generator = torch.Generator().manual_seed(count + words)
    features, weight, bias = (
        torch.randn(shape, dtype=dtype, generator=generator, requires_grad=True)
        for shape in ((count, size), (words, size), (words,))
    )
    return features, weight, bias, torch.randint(words, (count,), generator=generator)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("limit", [module.LIMIT, 50])
@given(st.integers(1, 9), st.integers(2, 40), st.integers(1, 5))
@settings(max_examples=20, deadline=None)
def test_equals_the_loss_from_logits(
    smoothing: float, limit: int, count: int, words: int, size: int
) -> None:
    *given_, labels = parts(count, words, size)
    logits = F.linear(*given_)
    expected = F.cross_entropy(logits, labels, label_smoothing=smoothing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "LIMIT", limit)  # 50: a row or three at a time
        found = vocabulary_loss(*given_, labels, smoothing=smoothing)
    torch.testing.assert_close(found.loss, expected)
    torch.testing.assert_close(found.nll, F.cross_entropy(logits, labels, reduction="none"))
    assert torch.equal(found.right, logits.argmax(1) == labels)
    assert not found.nll.requires_grad
    # As a term among others: the gradient is scaled.
    torch.testing.assert_close(
        torch.autograd.grad(3 * found.loss, given_), torch.autograd.grad(3 * expected, given_)
    )


def test_who_goes_back_again_finds_the_same_gradients() -> None:
    *given_, labels = parts(9, 23, 4)
    found = vocabulary_loss(*given_, labels, smoothing=0.1).loss
    first = torch.autograd.grad(2 * found, given_, retain_graph=True)
    kept = [gradient.clone() for gradient in first]
    torch.testing.assert_close(torch.autograd.grad(found, given_), [one / 2 for one in kept])
    torch.testing.assert_close(first, kept, rtol=0, atol=0)  # whose they are, they stay


def test_labels_next_to_impossible_keep_their_likelihoods() -> None:
    """Their probability is 0 in float32, its logarithm is not."""
    features = torch.tensor([[300.0], [1.0]], requires_grad=True)
    weight, bias = torch.tensor([[1.0], [-1.0], [0.5]]), torch.zeros(3)
    labels = torch.tensor([1, 0])
    found = vocabulary_loss(features, weight, bias, labels)
    expected = F.cross_entropy(features @ weight.t(), labels, reduction="none")
    torch.testing.assert_close(found.nll, expected.detach())
    torch.testing.assert_close(
        torch.autograd.grad(found.loss, features), torch.autograd.grad(expected.mean(), features)
    )


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
def test_without_gradients_it_is_the_same(
    without: Callable[[], AbstractContextManager[None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    *given_, labels = parts(7, 19, 4)
    expected = vocabulary_loss(*given_, labels).loss
    # Which are two thirds of the work.
    monkeypatch.setattr(module._Sums, "add", lambda *_: pytest.fail("gradients were made"))
    with without():
        plain = vocabulary_loss(*given_, labels)
    assert not plain.loss.requires_grad
    assert plain.loss == expected


def test_half_precision_keeps_sums_exact() -> None:
    *given_, labels = parts(300, 501, 16, torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = vocabulary_loss(*given_, labels, smoothing=0.1)
    assert found.loss.dtype == torch.float32
    expected = F.cross_entropy(F.linear(*given_), labels, label_smoothing=0.1)
    torch.testing.assert_close(found.loss, expected, rtol=1e-2, atol=1e-2)
    gradients = torch.autograd.grad(found.loss, given_)
    for gradient, exact in zip(gradients, torch.autograd.grad(expected, given_), strict=True):
        assert gradient.dtype == torch.float32
        torch.testing.assert_close(gradient, exact, rtol=3e-2, atol=2e-4)


def test_a_loss_that_is_not_finite_stays_so() -> None:
    features, weight, bias, labels = parts(3, 8, 2)
    spoilt = features.detach().clone()
    spoilt[1, 0] = float("nan")
    found = vocabulary_loss(spoilt, weight, bias, labels)
    assert found.loss.isnan() and found.nll.isnan().tolist() == [False, True, False]


def test_mechanisms_have_the_penalties_of_their_options() -> None:
    both = {"doubly_stochastic": 0.5, "coverage_loss": 2.0}
    found = {
        name: attention_penalties(attentions.get(name).Options(**options))
        for name, options in (("soft", both), ("hard", {}), ("global", {}), ("none", {}))
    }
    assert found == {
        "soft": [(0.5, doubly_stochastic_penalty), (2.0, coverage_loss)],
        "hard": [],
        "global": [],
        "none": [],
    }


def test_the_coverage_loss_counts_from_its_start_on() -> None:
    late = attentions.get("soft").Options(
        doubly_stochastic=0.5, coverage_loss=2.0, coverage_start=0.75
    )
    always = [(0.5, doubly_stochastic_penalty)]
    for done in (0.0, 299 / 400):
        assert attention_penalties(late, done) == always
    for done in (300 / 400, 1.0):
        assert attention_penalties(late, done) == [*always, (2.0, coverage_loss)]
    soon = late.model_copy(update={"coverage_start": 0.0})
    assert attention_penalties(soon, 0.0) == [*always, (2.0, coverage_loss)]


def test_a_start_without_a_loss_is_refused() -> None:
    options = attentions.get("global").Options(coverage_start=0.5)
    with pytest.raises(NotApplicable, match="says when coverage_loss begins"):
        build_attention("global", Sizes(4, 4), options=options)


def test_the_coverage_loss_is_that_of_the_formula() -> None:
    """See 2017, equation 12: covloss_t = sum_i min(a_i^t, c_i^t), c the sum of weights before."""
    weights = torch.rand(2, 4, 5, dtype=torch.float64).softmax(-1)
    real = torch.tensor([[True] * 4, [True, True, True, False]])
    mask = torch.tensor([[True] * 5, [True, True, False, False, False]])
    weights = weights * mask[:, None]
    found = coverage_loss(weights, real, mask)
    for b, steps in enumerate([4, 3]):
        coverage, expected = [0.0] * 5, 0.0
        for t in range(steps):
            expected += sum(min(float(weights[b, t, s]), coverage[s]) for s in range(5))
            coverage = [coverage[s] + float(weights[b, t, s]) for s in range(5)]
        assert found[b].item() == pytest.approx(expected)


def test_looking_at_every_place_once_pays_no_coverage_loss() -> None:
    real, mask = torch.ones(1, 3, dtype=torch.bool), torch.ones(1, 3, dtype=torch.bool)
    assert coverage_loss(torch.eye(3)[None], real, mask).item() == 0.0
    again = torch.tensor([[[1.0, 0, 0], [1, 0, 0], [0, 1, 0]]])
    assert coverage_loss(again, real, mask).item() == 1.0


def test_even_attention_pays_no_doubly_stochastic_penalty() -> None:
    real = torch.tensor([[True, True, False]])
    mask = torch.tensor([[True, True, True, False]])
    even = torch.tensor([1 / 3, 1 / 3, 1 / 3, 0.0]).expand(1, 3, 4)
    assert doubly_stochastic_penalty(even, real, mask).item() == pytest.approx(0.0, abs=1e-12)
    peaked = torch.tensor([1.0, 0.0, 0.0, 0.0]).expand(1, 3, 4)
    # totals 2, 0, 0 against an even share of 2/3 each
    expected = (2 - 2 / 3) ** 2 + 2 * (2 / 3) ** 2
    assert doubly_stochastic_penalty(peaked, real, mask).item() == pytest.approx(expected)


def test_what_is_padding_on_either_side_costs_nothing() -> None:
    real = torch.tensor([[True, True], [True, False]])
    mask = torch.tensor([[True, True, True], [True, True, False]])
    weights = torch.tensor(
        [[[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]], [[0.75, 0.25, 0.5], [0.9, 0.1, 0.3]]]
    )
    # Totals 1/2, 1, 1/2 against 2/3 each; and 3/4, 1/4 against 1/2 each.
    expected = [2 * (1 / 6) ** 2 + (1 / 3) ** 2, 2 * (1 / 4) ** 2]
    assert doubly_stochastic_penalty(weights, real, mask).tolist() == pytest.approx(expected)


def padded_weights() -> tuple[Tensor, Tensor, Tensor]:
    """Weights B,T,S with their real target and source positions; anything lies on padding."""
    generator = torch.Generator().manual_seed(7)
    weights = torch.rand(3, 4, 5, dtype=torch.float64, generator=generator)
    real = torch.arange(4) < torch.tensor([[4], [3], [1]])
    mask = torch.arange(5) < torch.tensor([[5], [2], [1]])
    return weights, real, mask


@pytest.mark.parametrize("width", [0.2, 0.4])
def test_the_guided_attention_loss_is_that_of_the_formula(width: float) -> None:
    """Tachibana 2018, section 4.1: the mean of A_ts W_ts, W_ts = 1 - exp(-(s/S - t/T)^2 / 2g^2)."""
    weights, real, mask = padded_weights()
    means = guided_attention_loss(weights, real, mask, width=width, of_units=False)
    sums = guided_attention_loss(weights, real, mask, width=width)
    for b, (T, S) in enumerate([(4, 5), (3, 2), (1, 1)]):
        expected = 0.0
        for t in range(T):
            for s in range(S):
                cost = 1 - math.exp(-((s / S - t / T) ** 2) / (2 * width**2))
                expected += float(weights[b, t, s]) * cost
        assert means[b].item() == pytest.approx(expected / (T * S), abs=1e-14)
        assert sums[b].item() == pytest.approx(expected / S, abs=1e-14)


def test_padding_changes_nothing_in_the_guided_attention_loss() -> None:
    weights, real, mask = padded_weights()
    found = guided_attention_loss(weights, real, mask)
    for b, (T, S) in enumerate([(4, 5), (3, 2), (1, 1)]):
        alone = guided_attention_loss(
            weights[b : b + 1, :T, :S], real[b : b + 1, :T], mask[b : b + 1, :S]
        )
        assert found[b].item() == pytest.approx(alone.item(), abs=1e-15)
    spoilt = weights.masked_fill(~(real[..., None] & mask[:, None]), float("nan"))
    torch.testing.assert_close(guided_attention_loss(spoilt, real, mask), found, rtol=0, atol=0)


def test_the_diagonal_pays_no_guided_attention_loss() -> None:
    all_real = torch.ones(1, 4, dtype=torch.bool)
    assert guided_attention_loss(torch.eye(4)[None], all_real, all_real).item() == 0.0
    assert guided_attention_loss(torch.eye(4).flip(0)[None], all_real, all_real).item() > 0.5


def test_options_say_weight_and_width_of_the_guided_attention_loss() -> None:
    weights, real, mask = padded_weights()
    options = attentions.get("self").Options(guided_loss=3.0, guided_width=0.4)
    [(weight, of_units)] = attention_penalties(options)
    [(_, of_examples)] = attention_penalties(options, of_units=False)
    assert weight == 3.0
    expected = guided_attention_loss(weights, real, mask, width=0.4)
    torch.testing.assert_close(of_units(weights, real, mask), expected)
    torch.testing.assert_close(of_examples(weights, real, mask), expected / real.sum(1))


@pytest.mark.parametrize(
    ("attention", "score", "options", "reason"),
    [
        ("hard", "concat", {}, "no gradient passes those of drawn positions"),
        ("nystrom", "scaled-dot", {}, "attention to oneself"),
        ("soft", "concat", {"talking_heads": True, "heads": 2}, "would reward negative weights"),
        ("self", "scaled-dot", {"differential": True}, "would reward negative weights"),
        ("global", "dot", {"guided_loss": 0.0, "guided_width": 0.4}, "guided_loss, which is 0"),
    ],
)
def test_what_guided_attention_cannot_train_is_refused(
    attention: str, score: str, options: dict[str, Any], reason: str
) -> None:
    kind = attentions.get(attention)
    chosen = kind.Options(**{"guided_loss": 1.0, **options})
    with pytest.raises(NotApplicable, match=reason):
        build_attention(attention, Sizes(4, 4, heads=2), score, chosen)


@pytest.mark.parametrize("attention", ["none", "uniform", "diagonal", "gaussian-mixture"])
def test_who_has_no_energies_has_no_guided_loss_and_no_factor(attention: str) -> None:
    assert not {"guided_loss", "energy_factor"} & set(
        attentions.get(attention).Options.model_fields
    )

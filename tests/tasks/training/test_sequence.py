"""The loss of the tasks that generate text, against its terms written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from bench.attention.base import Sampled
from bench.attention.mechanisms.hard import HardOptions
from bench.models.base import Decoded
from bench.models.layers import VocabularyHead
from tasks.data.batching import Batch
from tasks.settings import Settings
from tasks.training.sequence import GenerationModule

V, F = 7, 5


class Scripted(nn.Module):
    """Returns the same features whatever is read."""

    def __init__(self, decoded: Decoded) -> None:
        super().__init__()
        self.decoded = decoded

    def forward(self, tokens: Tensor, memory: object, *, need_weights: bool = False) -> Decoded:
        return self.decoded


def module(decoded: Decoded, options: HardOptions | None = None) -> GenerationModule:
    made = GenerationModule(
        nn.Identity(),
        nn.Identity(),  # type: ignore[arg-type]
        Scripted(decoded),  # type: ignore[arg-type]
        VocabularyHead(F, nn.Embedding(V, F), tied=False),
        Settings(label_smoothing=0.1),
        options or HardOptions(),
    )
    made.encode = lambda batch: None  # type: ignore[method-assign, assignment, return-value]
    return made


def batch() -> Batch:
    outputs = torch.tensor([[4, 5, 2], [6, 2, 0]])
    inputs = torch.tensor([[1, 4, 5], [1, 6, 0]])
    mask = torch.ones(2, 4, dtype=torch.bool)
    return Batch(torch.arange(2), torch.zeros(2, 4), mask, inputs, outputs, units=5)


def test_the_loss_is_smoothed_cross_entropy_over_real_units() -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 3, F)
    made = module(Decoded(features))
    terms = made.loss_terms(batch(), smoothing=0.1)
    log_p = made.head(features).log_softmax(-1)
    smoothed = nll = 0.0
    for b, t, label in [(0, 0, 4), (0, 1, 5), (0, 2, 2), (1, 0, 6), (1, 1, 2)]:
        nll -= log_p[b, t, label].item()
        smoothed -= 0.9 * log_p[b, t, label].item() + 0.1 * log_p[b, t].mean().item()
    assert terms.loss.item() == pytest.approx(smoothed / 5, rel=1e-5)
    assert terms.nll.item() == pytest.approx(nll, rel=1e-5)
    assert terms.units.item() == 5


def test_sampled_locations_are_trained_by_their_units_reward() -> None:
    torch.manual_seed(1)
    features = torch.randn(2, 3, F)
    log_prob = torch.full((2, 3), -1.5, requires_grad=True)
    sampled = Sampled(log_prob, torch.zeros(2, 3))
    options = HardOptions(reinforce_weight=2.0, discount=0.0, entropy_weight=0.0)
    made = module(Decoded(features, sampled=sampled), options).train()
    made.loss_terms(batch()).loss.backward()
    log_p = made.head(features).log_softmax(-1).detach()
    start = -math.log(V)
    expected = torch.zeros(2, 3)
    for b, t, label in [(0, 0, 4), (0, 1, 5), (0, 2, 2), (1, 0, 6), (1, 1, 2)]:
        expected[b, t] = -2.0 * (log_p[b, t, label] - start) / 5
    assert log_prob.grad is not None
    torch.testing.assert_close(log_prob.grad, expected)
    made.eval()
    with torch.no_grad():
        plain = made.loss_terms(batch()).loss
    assert plain.item() == pytest.approx(made.loss_terms(batch()).nll.item() / 5, rel=1e-5)

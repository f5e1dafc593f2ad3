"""`hard`: what it draws, what it returns, and that REINFORCE estimates the right gradient."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from attention_pairs import normalisers_of
from torch import Tensor

from bench.attention.attention import build_attention
from bench.attention.base import AttentionOutput, Memory, Sampled, Sizes
from bench.attention.mechanisms.hard import HardAttention, HardOptions, entropy
from bench.attention.registries import scores
from bench.models.losses import Baseline, reinforce_loss, returns_to_go

SIZE = 4
Make = Callable[..., Memory]


def build(score: str = "general", **options: object) -> HardAttention:
    module = build_attention("hard", Sizes(SIZE, SIZE), score, HardOptions(**options))
    assert isinstance(module, HardAttention)
    return module.double()


def attend(module: HardAttention, query: Tensor, memory: Memory) -> AttentionOutput:
    keys = module.prepare(memory)
    result: AttentionOutput = module(query, keys, module.initial_state(keys))
    return result


def distribution(module: HardAttention, query: Tensor, memory: Memory) -> Tensor:
    """B,T,S: what is drawn from."""
    always = build(expected_probability=1.0).train()
    always.load_state_dict(module.state_dict())
    weights = attend(always, query, memory).weights
    assert weights is not None
    return weights


def test_at_test_time_the_arg_max_is_taken(make_memory: Make) -> None:
    memory = make_memory([5, 2], SIZE)
    query = torch.randn(2, 6, SIZE, dtype=torch.float64)
    module = build().eval()
    found = attend(module, query, memory)
    assert found.sampled is None and not found.state.tensors
    best = distribution(module, query, memory).argmax(-1)
    torch.testing.assert_close(
        found.weights, torch.nn.functional.one_hot(best, 5).to(torch.float64)
    )
    chosen = memory.states[torch.arange(2)[:, None], best]
    torch.testing.assert_close(found.context, chosen)


@pytest.mark.parametrize("name", scores.names())
def test_what_is_drawn_is_one_location_and_its_log_probability(
    make_memory: Make, name: str
) -> None:
    memory = make_memory([5, 2], SIZE)
    query = torch.randn(2, 6, SIZE, dtype=torch.float64)
    found = attend(build(name, expected_probability=0.0).train(), query, memory)
    assert ((found.weights == 0) | (found.weights == 1)).all()
    assert (found.weights.sum(-1) == 1).all()
    assert (found.weights[1, :, 2:] == 0).all(), "padding is never drawn"
    assert found.sampled is not None
    assert found.sampled.log_prob.shape == found.sampled.entropy.shape == (2, 6)
    assert (found.sampled.log_prob <= 0).all() and (found.sampled.entropy >= 0).all()


def test_log_probabilities_and_entropies_are_those_of_the_weights(make_memory: Make) -> None:
    memory = make_memory([5, 2], SIZE)
    query = torch.randn(2, 6, SIZE, dtype=torch.float64)
    module = build(expected_probability=0.0).train()
    found = attend(module, query, memory)
    p = distribution(module, query, memory)
    log_prob = (p * found.weights).sum(-1).log()
    torch.testing.assert_close(found.sampled.log_prob, log_prob)
    torch.testing.assert_close(found.sampled.entropy, torch.special.entr(p).sum(-1))


def test_locations_are_drawn_as_often_as_their_weights_say(make_memory: Make) -> None:
    one = make_memory([4], SIZE)
    memory = one.select(torch.zeros(20_000, dtype=torch.int64))
    query = torch.randn(1, 2, SIZE, dtype=torch.float64)
    module = build(expected_probability=0.0).train()
    drawn = attend(module, query.expand(20_000, -1, -1), memory).weights.mean(0)
    p = distribution(module, query, one)[0]
    error = (p * (1 - p) / 20_000).sqrt()
    assert ((drawn - p).abs() < 5 * error).all()


@pytest.mark.parametrize("estimator", ["reinforce", "gumbel"])
def test_an_example_uses_the_expectation_for_its_whole_target(
    make_memory: Make, estimator: str
) -> None:
    memory = make_memory([5], SIZE).select(torch.zeros(400, dtype=torch.int64))
    query = torch.randn(1, 3, SIZE, dtype=torch.float64).expand(400, -1, -1)
    module = build(estimator=estimator, expected_probability=0.3).train()
    keys = module.prepare(memory)
    state = module.initial_state(keys)
    expected = state.tensors["expected"]
    assert 0.2 < expected.float().mean() < 0.4
    p = distribution(module, query, memory)
    for t in range(3):  # step by step: the choice is carried by the state
        found = module(query[:, t : t + 1], keys, state)
        state = found.state
        torch.testing.assert_close(found.weights[expected], p[expected, t : t + 1])
        drawn = found.weights[~expected]
        torch.testing.assert_close(drawn.max(-1).values, torch.ones_like(drawn[..., 0]))
        if found.sampled is not None:
            assert (found.sampled.log_prob[expected] == 0).all()
            assert (found.sampled.log_prob[~expected] < 0).all()


def test_the_draw_blocks_the_gradient_of_reinforce(make_memory: Make) -> None:
    module = build(expected_probability=0.0).train()
    query = torch.randn(1, 2, SIZE, dtype=torch.float64, requires_grad=True)
    found = attend(module, query, make_memory([4], SIZE))
    assert not found.context.requires_grad
    (gradient,) = torch.autograd.grad(found.sampled.log_prob.sum(), query)
    assert gradient.abs().sum() > 0


def test_straight_through_gumbel_passes_a_gradient(make_memory: Make) -> None:
    module = build(estimator="gumbel", expected_probability=0.0, temperature=0.7).train()
    query = torch.randn(2, 3, SIZE, dtype=torch.float64, requires_grad=True)
    found = attend(module, query, make_memory([4, 2], SIZE))
    assert found.sampled is None
    assert (found.weights.round() - found.weights).abs().max() < 1e-12
    assert (found.weights[1, :, 2:] == 0).all()
    (gradient,) = torch.autograd.grad(found.context.sum(), query)
    assert torch.isfinite(gradient).all() and gradient.abs().sum() > 0


@pytest.mark.parametrize("name", normalisers_of("hard"))
def test_gradients_are_finite_where_weights_are_zero(make_memory: Make, name: str) -> None:
    module = build(normaliser=name, expected_probability=0.0).train()
    query = (9 * torch.randn(2, 3, SIZE, dtype=torch.float64)).requires_grad_()
    sampled = attend(module, query, make_memory([6, 1], SIZE)).sampled
    loss = (sampled.log_prob + sampled.entropy).sum()
    for gradient in torch.autograd.grad(loss, [query, *module.parameters()], allow_unused=True):
        assert gradient is None or torch.isfinite(gradient).all()


def test_entropy_of_known_rows() -> None:
    rows = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.25] * 4, [0.5, 0.5, 0.0, 0.0]])
    torch.testing.assert_close(entropy(rows), torch.tensor([0.0, 4.0, 2.0]).clamp(1).log())


@pytest.mark.parametrize("baseline", [0.0, -3.0])
def test_reinforce_is_the_gradient_of_the_expected_loss(baseline: float) -> None:
    """Exactly: all paths of a small case, each estimate weighted by its probability.

    The log-probability of the second unit depends on both locations, that of the first on the
    first only; so the credit of the first location has to span both rewards.
    """
    torch.manual_seed(0)
    T, S = 2, 3
    logits = torch.randn(T, S, dtype=torch.float64, requires_grad=True)
    first, second = torch.randn(S).double(), torch.randn(S, S).double()
    p = logits.softmax(-1)
    expected_loss = -sum(
        p[0, i] * p[1, j] * (first[i] + second[i, j]) for i in range(S) for j in range(S)
    )
    (exact,) = torch.autograd.grad(expected_loss / T, logits, retain_graph=True)
    estimate = torch.zeros_like(logits)
    mask = torch.ones(1, T, dtype=torch.bool)
    for i, j in itertools.product(range(S), range(S)):
        log_prob = torch.stack([p[0, i], p[1, j]]).log()[None]
        sampled = Sampled(log_prob, torch.zeros_like(log_prob))
        reward = torch.stack([first[i], second[i, j]])[None]
        loss, _ = reinforce_loss(sampled, reward, mask, Baseline.start(baseline))
        (gradient,) = torch.autograd.grad(loss, logits, retain_graph=True)
        estimate += (p[0, i] * p[1, j]).detach() * gradient
    torch.testing.assert_close(estimate, exact)


def test_reinforce_through_the_mechanism_points_the_right_way(make_memory: Make) -> None:
    """The mean of many draws against the exact gradient for the mechanism's own queries."""
    torch.manual_seed(3)
    N, T = 40_000, 2
    one = make_memory([3], SIZE)
    memory = one.select(torch.zeros(N, dtype=torch.int64))
    module = build(expected_probability=0.0).train()
    query = torch.randn(1, T, SIZE, dtype=torch.float64, requires_grad=True)
    table = torch.randn(T, 3, dtype=torch.float64)
    found = attend(module, query.expand(N, -1, -1), memory)
    reward = (found.weights * table).sum(-1)
    mask = torch.ones(N, T, dtype=torch.bool)
    loss, _ = reinforce_loss(found.sampled, reward, mask, Baseline.start(reward.mean().item()))
    (estimate,) = torch.autograd.grad(loss, query)
    p = distribution(module, query, one)[0]
    (exact,) = torch.autograd.grad(-(p * table).sum() / T, query)
    assert (estimate - exact).norm() < 0.03 * exact.norm()


def test_a_baseline_lowers_the_variance() -> None:
    torch.manual_seed(0)
    logits = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    mask = torch.ones(1, 1, dtype=torch.bool)
    rewards = torch.tensor([-5.0, -5.5, -6.0], dtype=torch.float64)
    spread = {}
    for value in (0.0, -5.5):
        gradients = []
        for place in range(3):
            sampled = Sampled(logits.log_softmax(0)[place].view(1, 1), torch.zeros(1, 1))
            loss, _ = reinforce_loss(
                sampled, rewards[place].view(1, 1), mask, Baseline.start(value)
            )
            gradients.append(torch.autograd.grad(loss, logits)[0])
        spread[value] = torch.stack(gradients).var(0).sum()
    assert spread[-5.5] < spread[0.0] / 50


def test_padding_counts_for_nothing_and_weights_scale_their_terms() -> None:
    log_prob = torch.tensor([[-1.0, -2.0, float("nan")]], requires_grad=True)
    spread = torch.tensor([[0.3, 0.5, 9.0]])
    reward = torch.tensor([[-4.0, -6.0, float("-inf")]])
    mask = torch.tensor([[True, True, False]])
    loss, baseline = reinforce_loss(
        Sampled(log_prob, spread),
        reward,
        mask,
        Baseline.start(-3.0, decay=0.75),
        reinforce_weight=2.0,
        entropy_weight=0.1,
    )
    credit = (-1.0 - 3.0, -3.0)  # returns to go of reward - baseline
    gain = (-1.0 * credit[0] + -2.0 * credit[1]) / 2
    assert loss.item() == pytest.approx(-2.0 * gain - 0.1 * 0.4)
    assert baseline.values.item() == pytest.approx(0.75 * -3.0 + 0.25 * -5.0)
    (gradient,) = torch.autograd.grad(loss, log_prob)
    torch.testing.assert_close(gradient, torch.tensor([[4.0, 3.0, 0.0]]))


def test_rewards_pass_no_gradient() -> None:
    log_prob = torch.zeros(1, 2, requires_grad=True)
    reward = torch.randn(1, 2, requires_grad=True)
    mask = torch.ones(1, 2, dtype=torch.bool)
    loss, baseline = reinforce_loss(Sampled(log_prob, log_prob), reward, mask, Baseline.start())
    assert torch.autograd.grad(loss, reward, allow_unused=True) == (None,)
    assert not baseline.values.requires_grad


@pytest.mark.parametrize("discount", [0.0, 0.5, 1.0])
def test_returns_to_go(discount: float) -> None:
    reward = torch.randn(2, 5, dtype=torch.float64)
    expected = torch.tensor(
        [
            [sum(discount ** (k - t) * row[k].item() for k in range(t, 5)) for t in range(5)]
            for row in reward
        ],
        dtype=torch.float64,
    )
    torch.testing.assert_close(returns_to_go(reward, discount), expected)


def test_a_moving_average_forgets() -> None:
    baseline = Baseline.start(0.0, decay=0.9)
    mask = torch.ones(1, 4, dtype=torch.bool)
    for _ in range(200):
        baseline = baseline.updated(torch.full((1, 4), -2.5), mask)
    assert baseline.values.item() == pytest.approx(-2.5)
    assert baseline.decay == 0.9


def test_groups_have_averages_of_their_own() -> None:
    reward = torch.tensor([[-1.0, -8.0, -3.0]])
    groups = torch.tensor([[0, 1, 0]])
    mask = torch.tensor([[True, True, False]])
    baseline = Baseline.start(-2.0, decay=0.5, groups=3).updated(reward, mask, groups)
    torch.testing.assert_close(baseline.values, torch.tensor([-1.5, -5.0, -2.0]))
    log_prob = torch.zeros(1, 3, requires_grad=True)
    sampled = Sampled(log_prob, torch.zeros(1, 3))
    loss, _ = reinforce_loss(sampled, reward, mask, baseline, groups=groups, discount=0.0)
    (gradient,) = torch.autograd.grad(loss, log_prob)
    # minus the advantage of each unit over its own group, a mean over two units
    torch.testing.assert_close(gradient, torch.tensor([[-0.25, 1.5, 0.0]]))


def test_a_draw_from_nan_has_a_log_probability_of_nan(make_memory: Make) -> None:
    """The context of a drawn location is finite, so that divergence shows in the loss only."""
    module = build(expected_probability=0.0).train()
    query = torch.full((3, 1, SIZE), torch.nan, dtype=torch.float64)
    drawn = attend(module, query, make_memory([7, 4, 1], SIZE))
    assert drawn.sampled is not None and drawn.sampled.log_prob.isnan().all()
    assert drawn.context.isfinite().all()

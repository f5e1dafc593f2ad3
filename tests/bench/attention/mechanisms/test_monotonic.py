"""`monotonic`, `mocha` and `stepwise-monotonic`: the expectation of training against recurrences
written out in float64 and against all monotonic paths; the decisions of a test against the
algorithm; float32 on long sources."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.attention.attention import build_attention
from bench.attention.base import AttentionOutput, Memory, Sizes
from bench.attention.mechanisms.mocha import Mocha, chunks, join_chunks
from bench.attention.mechanisms.monotonic import MonotonicSteps, linear_recurrence
from bench.attention.registries import attentions

SIZE = 4
NAMES = ("monotonic", "mocha", "stepwise-monotonic")
Make = Callable[..., Memory]


def build(name: str, score: str = "concat", **options: Any) -> MonotonicSteps:
    kind = attentions.get(name)
    module = build_attention(name, Sizes(SIZE, SIZE), score, kind.Options(**options))
    assert isinstance(module, MonotonicSteps)
    return module.double()


def attend(module: MonotonicSteps, query: Tensor, memory: Memory) -> AttentionOutput:
    keys = module.prepare(memory)
    return module(query, keys, module.initial_state(keys))


def probabilities(module: MonotonicSteps, query: Tensor, memory: Memory) -> Tensor:
    """p of the first example, T,S: g v/|v| . tanh(...) + r under a sigmoid."""
    keys = module.score.project_keys(memory.states[:1, : int(memory.lengths[0])])
    energies = module.score(query[:1], keys)[0, 0]
    if hasattr(module.score, "vector"):
        energies = energies / math.sqrt(sum(float(v) ** 2 for v in module.score.vector[0]))
    return torch.sigmoid(float(module.scale) * energies + float(module.bias))


def next_monotonic(p: Tensor, before: list[float]) -> list[float]:
    """a_i of p_i and a_{i-1} by the recurrence of Raffel 2017."""
    after, q = [], 0.0
    for j, one in enumerate(before):
        q = (1 - float(p[j - 1])) * q + one if j else one
        after.append(float(p[j]) * q)
    return after


def next_stepwise(p: Tensor, before: list[float]) -> list[float]:
    """a_i by the recurrence of He 2019."""
    return [
        before[j] * float(p[j]) + (before[j - 1] * (1 - float(p[j - 1])) if j else 0.0)
        for j in range(len(before))
    ]


def chunk_energies(module: Mocha, query: Tensor, memory: Memory) -> Tensor:
    """u_i of the first example, S."""
    return module.chunk_score(query, module.chunk_score.project_keys(memory.states[:1])).view(-1)


def in_chunks(module: Mocha, alpha: list[float], u: Tensor) -> list[float]:
    """b_i of a_i and the chunk energies (Chiu 2018)."""
    S, w = len(alpha), module.chunk
    return [
        sum(
            alpha[k]
            * math.exp(float(u[j]))
            / sum(math.exp(float(u[x])) for x in range(max(0, k - w + 1), k + 1))
            for k in range(j, min(S, j + w))
        )
        for j in range(S)
    ]


@pytest.mark.parametrize("score", ["concat", "general"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("training", [True, False])
def test_the_expectation(make_memory: Make, name: str, score: str, training: bool) -> None:
    module = build(name, score, energy_noise=0.0, hard_at_test=False).train(training)
    memory = make_memory([6, 3], SIZE)
    query = torch.randn(2, 5, SIZE, dtype=torch.float64)
    p = probabilities(module, query, memory)
    found = attend(module, query, memory)
    alpha = [1.0] + [0.0] * 5
    for t in range(5):
        step = next_stepwise if name == "stepwise-monotonic" else next_monotonic
        alpha = weights = step(p[t], alpha)
        if isinstance(module, Mocha):
            weights = in_chunks(module, alpha, chunk_energies(module, query[:1, t : t + 1], memory))
        expected = torch.tensor(weights, dtype=torch.float64)
        torch.testing.assert_close(found.weights[0, t], expected)
        torch.testing.assert_close(found.context[0, t], expected @ memory.states[0])
        torch.testing.assert_close(
            found.weights[0, t].sum(), torch.tensor(sum(alpha), dtype=torch.float64)
        )


@pytest.mark.parametrize("name", ["monotonic", "stepwise-monotonic"])
def test_the_expectation_is_a_sum_over_paths(make_memory: Make, name: str) -> None:
    module = build(name, energy_noise=0.0).train()
    memory, T, S = make_memory([4], SIZE), 3, 4
    query = torch.randn(1, T, SIZE, dtype=torch.float64)
    p = probabilities(module, query, memory)
    found = attend(module, query, memory)
    expected = torch.zeros(T, S, dtype=torch.float64)
    for path in itertools.product(range(S), repeat=T):
        likely = torch.ones((), dtype=torch.float64)
        for t, (a, b) in enumerate(itertools.pairwise((0, *path))):
            if name == "monotonic":  # passes over all from a, stops at b
                likely = likely * (1 - p[t, a:b]).prod() * p[t, b] if b >= a else likely * 0
            else:
                likely = likely * (p[t, a] if b == a else 1 - p[t, a] if b == a + 1 else 0.0)
            # Every path up to step t is counted once for each of its endings.
            endings = S ** (T - 1 - t)
            expected[t, b] += likely / endings
    torch.testing.assert_close(found.weights[0], expected)


@pytest.mark.parametrize("bias", [-1.0, 0.0, 0.3, 5.0])
@pytest.mark.parametrize("name", NAMES)
def test_the_decisions_of_a_test(make_memory: Make, name: str, bias: float) -> None:
    module, memory = build(name, bias=bias).eval(), make_memory([6, 3], SIZE)
    query = torch.randn(2, 5, SIZE, dtype=torch.float64)
    p = probabilities(module, query, memory)
    found = attend(module, query, memory)
    place: int | None = 0
    for t in range(5):
        if place is not None and name == "stepwise-monotonic":
            place = place if p[t, place] > 0.5 else place + 1
            place = place if place < 6 else None
        elif place is not None:  # algorithm 1
            place = next((j for j in range(place, 6) if p[t, j] > 0.5), None)
        alpha = [float(j == place) for j in range(6)]
        if isinstance(module, Mocha):
            alpha = in_chunks(module, alpha, chunk_energies(module, query[:1, t : t + 1], memory))
        torch.testing.assert_close(found.weights[0, t], torch.tensor(alpha, dtype=torch.float64))
        context = torch.tensor(alpha, dtype=torch.float64) @ memory.states[0]
        torch.testing.assert_close(found.context[0, t], context)


@pytest.mark.parametrize("name", NAMES)
def test_training_and_test_agree_where_decisions_are_certain(make_memory: Make, name: str) -> None:
    module, memory = build(name, "general", energy_noise=0.0), make_memory([6, 3], SIZE)
    with torch.no_grad():
        module.scale.fill_(1e4)
    query = torch.randn(2, 5, SIZE, dtype=torch.float64)
    soft, hard = (attend(module.train(training), query, memory) for training in (True, False))
    torch.testing.assert_close(soft.context, hard.context)


@pytest.mark.parametrize("name", NAMES)
def test_noise_is_drawn_in_training_only(make_memory: Make, name: str) -> None:
    module, memory = build(name, hard_at_test=False), make_memory([6], SIZE)
    query = torch.randn(1, 5, SIZE, dtype=torch.float64)
    one, two = (attend(module.train(), query, memory).weights for _ in range(2))
    assert not torch.equal(one, two)
    one, two = (attend(module.eval(), query, memory).weights for _ in range(2))
    assert torch.equal(one, two)


@pytest.mark.parametrize("scale", [0.1, 30.0])
@pytest.mark.parametrize("name", NAMES)
def test_float32_on_long_sources(name: str, scale: float) -> None:
    """Products of thousands of probabilities underflow; weights and gradients must not notice."""
    module = build(name, "general", energy_noise=0.0).train()
    with torch.no_grad():
        module.scale.fill_(scale)
    states = torch.randn(2, 4000, SIZE, dtype=torch.float64)
    query = torch.randn(2, 6, SIZE, dtype=torch.float64)
    seen = torch.ones(2, 4000, dtype=torch.bool)
    results = []
    for dtype in (torch.float64, torch.float32):
        asked = query.to(dtype).requires_grad_()
        one = states.to(dtype)
        found = attend(module.to(dtype), asked, Memory(one, seen, one[:, 0]))
        (gradient,) = torch.autograd.grad(found.context.square().sum(), asked)
        results.append((found.weights.double(), gradient.double()))
    (exact, exact_gradient), (rough, rough_gradient) = results
    torch.testing.assert_close(rough, exact, atol=1e-4, rtol=0)
    assert (rough >= 0).all() and (rough.sum(-1) < 1 + 1e-5).all()
    size = exact_gradient.abs().max().item() + 1e-9
    torch.testing.assert_close(rough_gradient / size, exact_gradient / size, atol=1e-2, rtol=0)


@pytest.mark.parametrize("size", [1, 2, 5, 8, 13])
def test_the_recurrence_by_doubling(size: int) -> None:
    factors, terms = torch.rand(2, 3, size, dtype=torch.float64).unbind(0)
    expected, x = [], torch.zeros(3, dtype=torch.float64)
    for j in range(size):
        x = factors[:, j] * x + terms[:, j]
        expected.append(x)
    torch.testing.assert_close(linear_recurrence(factors, terms), torch.stack(expected, -1))


@pytest.mark.parametrize("width", [1, 3, 9])
def test_chunks_and_their_transpose(width: int) -> None:
    values = torch.arange(1.0, 6.0)
    found = chunks(values, width)
    assert found.shape == (5, width)
    for k in range(1, 6):
        assert found[k - 1].sum() == sum(range(max(1, k - width + 1), k + 1))
    parts = torch.randn(5, width)
    torch.testing.assert_close((found * parts).sum(), (values * join_chunks(parts)).sum())

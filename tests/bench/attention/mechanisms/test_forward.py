"""`forward` against algorithms 1 and 2 of Zhang 2018, written out with loops, and against the sum
over all monotonic paths."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench.attention.attention import build_attention
from bench.attention.base import AttentionOutput, Memory, Sizes
from bench.attention.mechanisms.forward import ForwardAttention, ForwardOptions

SIZE = 4
Make = Callable[..., Memory]


def build(score: str = "concat", **options: object) -> ForwardAttention:
    sizes = Sizes(SIZE, SIZE)
    module = build_attention("forward", sizes, score, ForwardOptions(**options))
    assert isinstance(module, ForwardAttention)
    return module.double()


def attend(module: ForwardAttention, query: Tensor, memory: Memory) -> AttentionOutput:
    keys = module.prepare(memory)
    return module(query, keys, module.initial_state(keys))


def softmaxes(module: ForwardAttention, query: Tensor, memory: Memory) -> Tensor:
    """y_t(n), T,S, of the first example."""
    length = int(memory.lengths[0])
    keys = module.score.project_keys(memory.states[:1, :length])
    return module.score(query[:1], keys)[0, 0].softmax(-1)


@pytest.mark.parametrize("reach", [1, 3])
def test_algorithm_1(make_memory: Make, reach: int) -> None:
    module, memory = build(reach=reach), make_memory([6, 3], SIZE)
    query = torch.randn(2, 5, SIZE, dtype=torch.float64)
    y = softmaxes(module, query, memory)
    before = [1.0] + [0.0] * 5
    found = attend(module, query, memory)
    for t in range(5):
        raw = [sum(before[max(0, n - reach) : n + 1]) * float(y[t, n]) for n in range(6)]
        before = [one / sum(raw) for one in raw]
        expected = torch.tensor(before, dtype=torch.float64)
        torch.testing.assert_close(found.weights[0, t], expected)
        torch.testing.assert_close(found.context[0, t], expected @ memory.states[0])


def test_the_weights_are_a_sum_over_monotonic_paths(make_memory: Make) -> None:
    module, memory = build(), make_memory([4], SIZE)
    query = torch.randn(1, 3, SIZE, dtype=torch.float64)
    y = softmaxes(module, query, memory)
    found = attend(module, query, memory).weights[0, -1]
    paths = torch.zeros(4, dtype=torch.float64)
    for path in itertools.product(range(4), repeat=3):
        if all(b - a in (0, 1) for a, b in itertools.pairwise((0, *path))):
            paths[path[-1]] += y[0, path[0]] * y[1, path[1]] * y[2, path[2]]
    torch.testing.assert_close(found, paths / paths.sum())


def test_algorithm_2(make_memory: Make) -> None:
    module, memory = build(transition_agent=True), make_memory([6, 3], SIZE)
    query = torch.randn(2, 5, SIZE, dtype=torch.float64)
    y = softmaxes(module, query, memory)
    before, u = [1.0] + [0.0] * 5, 0.5
    found = attend(module, query, memory)
    for t in range(5):
        raw = [
            ((1 - u) * before[n] + u * (before[n - 1] if n else 0.0)) * float(y[t, n])
            for n in range(6)
        ]
        before = [one / sum(raw) for one in raw]
        expected = torch.tensor(before, dtype=torch.float64)
        torch.testing.assert_close(found.weights[0, t], expected)
        context = expected @ memory.states[0]
        torch.testing.assert_close(found.context[0, t], context)
        u = float(torch.sigmoid(module.agent(torch.cat([context, query[0, t]]))))


@pytest.mark.parametrize("agent", [False, True])
def test_long_sources_and_extreme_energies_in_float32(agent: bool) -> None:
    module = build("dot", transition_agent=agent).float()
    states = torch.randn(1, 2000, SIZE) * 30  # energies of thousands: softmaxes underflow
    memory = Memory(states, torch.ones(1, 2000, dtype=torch.bool), states[:, 0])
    query = (torch.randn(1, 30, SIZE) * 30).requires_grad_()
    found = attend(module, query, memory)
    sums = found.weights.sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums))
    (gradient,) = torch.autograd.grad(found.context.sum(), query)
    assert gradient.isfinite().all()
    assert (found.weights[0, 4, 6:] == 0).all(), "a position a step and no more"


def test_at_the_end_of_the_source_it_stays(make_memory: Make) -> None:
    module, memory = build(transition_agent=True), make_memory([2, 1], SIZE)
    with torch.no_grad():
        module.agent[-1].bias.fill_(1e3)  # always on
    found = attend(module, torch.randn(2, 6, SIZE, dtype=torch.float64), memory)
    torch.testing.assert_close(found.weights.sum(-1), torch.ones(2, 6, dtype=torch.float64))

"""`over` against the two softmaxes of Cui 2017, worked out by hand and with loops."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from attention_pairs import normalisers_of
from torch import Tensor

from bench.attention.attention import build_attention
from bench.attention.base import AttentionOutput, Memory, Sizes
from bench.attention.mechanisms import over as over_module
from bench.attention.mechanisms.over import AttentionOverAttention, OverOptions

SIZE = 4
Make = Callable[..., Memory]


def build(**options: object) -> AttentionOverAttention:
    module = build_attention("over", Sizes(SIZE, SIZE), "dot", OverOptions(**options))
    assert isinstance(module, AttentionOverAttention)
    return module.double()


def attend(
    module: AttentionOverAttention, query: Tensor, memory: Memory, mask: Tensor | None = None
) -> AttentionOutput:
    keys = module.prepare(memory)
    return module(query, keys, module.initial_state(keys), query_mask=mask)


def written_out(module: AttentionOverAttention, matrix: Tensor, t: int, rows: list[int]) -> Tensor:
    """Weights over S of row t, when `rows` of the matrix T,S are seen."""
    S = matrix.shape[1]
    alpha = {j: module.normaliser(matrix[j], None) for j in rows}
    beta = [module.normaliser(matrix[rows, s], None) for s in range(S)]
    mean = [sum(beta[s][i] for s in range(S)) / S for i in range(len(rows))]
    return sum(mean[i] * alpha[j] for i, j in enumerate(rows))


@pytest.mark.parametrize("normaliser", normalisers_of("over"))
def test_row_t_sees_the_prefix_only(make_memory: Make, normaliser: str) -> None:
    lengths = [6, 3, 1]
    memory = make_memory(lengths, SIZE)
    module = build(normaliser=normaliser)
    query = torch.randn(3, 5, SIZE, dtype=torch.float64)
    found = attend(module, query, memory)
    for b, length in enumerate(lengths):
        matrix = query[b] @ memory.states[b, :length].T
        for t in range(5):
            expected = written_out(module, matrix, t, list(range(t + 1)))
            torch.testing.assert_close(found.weights[b, t, :length], expected)
            torch.testing.assert_close(found.context[b, t], expected @ memory.states[b, :length])


@pytest.mark.parametrize("normaliser", normalisers_of("over"))
def test_the_full_pair_matrix_is_the_papers(make_memory: Make, normaliser: str) -> None:
    memory = make_memory([6, 3], SIZE)
    module = build(causal=False, normaliser=normaliser)
    query = torch.randn(2, 5, SIZE, dtype=torch.float64)
    mask = torch.arange(5) < torch.tensor([[5], [2]])
    found = attend(module, query, memory, mask)
    for b, (source, target) in enumerate([(6, 5), (3, 2)]):
        matrix = query[b] @ memory.states[b, :source].T
        expected = written_out(module, matrix, 0, list(range(target)))
        for t in range(5):
            torch.testing.assert_close(found.weights[b, t, :source], expected)


def test_a_worked_example() -> None:
    """Two words by two positions, M = [[ln 3, 0], [0, ln 3]], worked out on paper.

    alpha_1 = (3/4, 1/4) and alpha_2 = (1/4, 3/4); beta is (3/4, 1/4) for the first position and
    (1/4, 3/4) for the second, so their mean is (1/2, 1/2). After one word only alpha_1 counts.
    """
    states = torch.eye(2, 4, dtype=torch.float64)[None]
    memory = Memory(states, torch.ones(1, 2, dtype=torch.bool), states[:, 0])
    query = math.log(3) * states
    found = attend(build(), query, memory).weights
    expected = torch.tensor([[[0.75, 0.25], [0.5, 0.5]]], dtype=torch.float64)
    torch.testing.assert_close(found, expected)
    full = attend(build(causal=False), query, memory).weights
    torch.testing.assert_close(full, torch.full((1, 2, 2), 0.5, dtype=torch.float64))


def test_the_first_step_is_plain_attention(make_memory: Make) -> None:
    memory = make_memory([6, 3], SIZE)
    query = torch.randn(2, 1, SIZE, dtype=torch.float64)
    plain = build_attention("global", Sizes(SIZE, SIZE), "dot").double()
    keys = plain.prepare(memory)
    expected = plain(query, keys, plain.initial_state(keys)).weights
    torch.testing.assert_close(attend(build(), query, memory).weights, expected)


def test_rows_that_are_no_words_are_not_looked_at(make_memory: Make) -> None:
    memory = make_memory([6, 3], SIZE)
    module = build()
    query = torch.randn(2, 5, SIZE, dtype=torch.float64)
    mask = torch.tensor([[True] * 5, [True, False, True, True, False]])
    found = attend(module, query, memory, mask)
    kept = attend(module, query[1:, mask[1]], memory.select(torch.tensor([1])))
    torch.testing.assert_close(found.weights[1, mask[1]], kept.weights[0])


def test_energies_far_apart_stay_exact(make_memory: Make) -> None:
    """A later row a thousand nats above the first one must not erase the first step."""
    memory = make_memory([3], SIZE)
    query = torch.randn(1, 2, SIZE, dtype=torch.float64)
    query[:, 1] *= 1e4
    module = build()
    weights = attend(module, query, memory).weights
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 2, dtype=torch.float64))
    first = attend(module, query[:, :1], memory).weights
    torch.testing.assert_close(weights[:, :1], first)


def test_chunks_change_nothing(make_memory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = make_memory([6, 3], SIZE)
    query = torch.randn(2, 5, SIZE, dtype=torch.float64, requires_grad=True)

    def run() -> tuple[Tensor, Tensor]:
        context = attend(build(), query, memory).context
        return context, torch.autograd.grad(context.sin().sum(), query)[0]

    whole = run()
    limited = partial(over_module.in_chunks, limit=2 * (2 * 6 * 5))
    monkeypatch.setattr(over_module, "in_chunks", limited)
    for one, other in zip(whole, run(), strict=True):
        torch.testing.assert_close(one, other)

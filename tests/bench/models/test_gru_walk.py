"""Steps of GRU layers as functions of their own against PyTorch's operations."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench.models.recurrent_cells import CellState, GruSteps, RecurrentStack, Steps

B, T, E, X, H = 3, 5, 4, 2, 6
Made = tuple[Tensor, list[Tensor]]


@pytest.fixture(params=[1, 2])
def stack(request: pytest.FixtureRequest) -> RecurrentStack:
    stack = RecurrentStack("gru", E, H, extra_size=X, layers=request.param).double()
    for parameter in stack.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return stack


def _given(stack: RecurrentStack) -> list[Tensor]:
    shapes = [(B, T, E), (B, T, X), *[(B, H)] * stack.layers]
    return [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes]


def _walk(
    kind: type[Steps | GruSteps],
    stack: RecurrentStack,
    given: list[Tensor],
    change: Callable[[Tensor, CellState], Tensor] = lambda extra, state: extra,
) -> list[Tensor]:
    """The states of the top layer, with extra inputs that may depend on the state before."""
    known, extras, *first = given
    advance, state, tops = kind(stack, known), CellState(tuple(first)), []
    for step in range(T):
        state = advance(step, change(extras[:, step], state), state)
        tops.append(state.hidden[-1])
    return tops


def test_training_on_a_cpu_takes_them(stack: RecurrentStack) -> None:
    known = torch.randn(B, T, E, dtype=torch.float64)
    assert isinstance(stack.steps(known), GruSteps)
    assert isinstance(stack.steps(known[:, :1]), Steps)
    with torch.no_grad():
        assert isinstance(stack.steps(known), Steps)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert isinstance(stack.steps(known), Steps)


@pytest.mark.parametrize("last", [T - 1, 1])
def test_values_and_gradients_of_a_loop_with_feedback(stack: RecurrentStack, last: int) -> None:
    """Also where only the first steps count, and a second time."""

    def feedback(extra: Tensor, state: CellState) -> Tensor:
        return extra * state.hidden[-1][:, :X].sin()

    given = _given(stack)
    wanted = [*given, *stack.parameters()]
    found, expected = (_walk(kind, stack, given, feedback) for kind in (GruSteps, Steps))
    torch.testing.assert_close(found, expected)
    for step in (last, 0):
        losses = [(tops[step] * tops[0]).square().sum() for tops in (found, expected)]
        torch.testing.assert_close(
            *(
                torch.autograd.grad(loss, wanted, retain_graph=True, materialize_grads=True)
                for loss in losses
            )
        )


def test_two_walks_of_one_stack_keep_apart(stack: RecurrentStack) -> None:
    one, other = _given(stack), _given(stack)
    walks = [_walk(GruSteps, stack, given)[-1].square().sum() for given in (one, other)]
    parameters = list(stack.parameters())
    together = torch.autograd.grad(walks[0] + walks[1], parameters, retain_graph=True)
    apart = [torch.autograd.grad(walk, parameters) for walk in walks]
    torch.testing.assert_close(list(together), [sum(pair) for pair in zip(*apart, strict=True)])


def test_gradients_agree_with_finite_differences(stack: RecurrentStack) -> None:
    def run(*given: Tensor) -> tuple[Tensor, ...]:
        return tuple(_walk(GruSteps, stack, list(given)))

    assert torch.autograd.gradcheck(run, _given(stack))

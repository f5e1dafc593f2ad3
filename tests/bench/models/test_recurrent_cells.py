"""Recurrent cells step by step, and the GRU layer trained on CPUs, against PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.errors import UsageError
from bench.models.recurrent_cells import CellState, Gru, RecurrentStack

B, T, E, X, H = 3, 5, 4, 2, 6


def _stack(cell: str, layers: int, dropout: float = 0.0) -> RecurrentStack:
    stack = RecurrentStack(cell, E, H, extra_size=X, layers=layers, dropout=dropout).double()
    for parameter in stack.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return stack


def _first(cell: str, layers: int) -> CellState:
    def states() -> tuple[Tensor, ...]:
        return tuple(torch.randn(B, H, dtype=torch.float64).requires_grad_() for _ in range(layers))

    return CellState(states(), states() if cell == "lstm" else ())


def _walk(
    stack: RecurrentStack, known: Tensor, extra: Tensor, state: CellState
) -> tuple[Tensor, CellState]:
    advance, tops = stack.steps(known), []
    for step in range(known.shape[1]):
        state = advance(step, extra[:, step], state)
        tops.append(state.hidden[-1])
    return torch.stack(tops, dim=1), state


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_steps_equal_the_fused_call_and_so_do_their_gradients(cell: str, layers: int) -> None:
    stack, first = _stack(cell, layers), _first(cell, layers)
    known = torch.randn(B, T, E, dtype=torch.float64, requires_grad=True)
    extra = torch.randn(B, T, X, dtype=torch.float64, requires_grad=True)
    wanted = [known, extra, *first.hidden, *first.cells, *stack.parameters()]

    outputs, last = stack(torch.cat((known, extra), dim=2), first)
    walked, walked_last = _walk(stack, known, extra, first)

    torch.testing.assert_close(walked, outputs)
    for ours, fused in zip(
        (*walked_last.hidden, *walked_last.cells), (*last.hidden, *last.cells), strict=True
    ):
        torch.testing.assert_close(ours, fused)
    weight = torch.randn_like(outputs)
    torch.testing.assert_close(
        torch.autograd.grad((walked * weight).sum(), wanted),
        torch.autograd.grad((outputs * weight).sum(), wanted),
    )


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_the_last_state_of_one_call_continues_in_the_next(cell: str) -> None:
    stack, first = _stack(cell, 2), _first(cell, 2)
    inputs = torch.randn(B, T, E + X, dtype=torch.float64)
    whole, _ = stack(inputs, first)
    begun, middle = stack(inputs[:, :2], first)
    rest, _ = stack(inputs[:, 2:], middle)
    torch.testing.assert_close(torch.cat((begun, rest), dim=1), whole)


def test_dropout_stands_between_layers_of_the_walk_in_training_only() -> None:
    stack, first = _stack("gru", 2, dropout=0.5), _first("gru", 2)
    known = torch.randn(B, T, E, dtype=torch.float64)
    extra = torch.randn(B, T, X, dtype=torch.float64)
    stack.eval()
    calm, calm_last = _walk(stack, known, extra, first)
    torch.testing.assert_close(_walk(stack, known, extra, first)[0], calm)
    stack.train()
    dropped, last = _walk(stack, known, extra, first)
    assert not torch.allclose(dropped, calm)
    torch.testing.assert_close(last.hidden[0], calm_last.hidden[0])  # below all dropout


@pytest.mark.parametrize("cell", ["gru", "lstm"])
def test_recurrent_weights_start_orthogonal_gate_by_gate(cell: str) -> None:
    stack = RecurrentStack(cell, E, H, layers=2)
    for layer in range(2):
        for gate in getattr(stack.rnn, f"weight_hh_l{layer}").detach().split(H):
            torch.testing.assert_close(gate @ gate.t(), torch.eye(H), atol=1e-5, rtol=0)


def test_an_lstm_starts_with_its_forget_gates_open() -> None:
    rnn = RecurrentStack("lstm", E, H, layers=2).rnn
    for layer in range(2):
        bias = getattr(rnn, f"bias_ih_l{layer}") + getattr(rnn, f"bias_hh_l{layer}")
        expected = torch.zeros(4 * H)
        expected[H : 2 * H] = 1.0
        torch.testing.assert_close(bias.detach(), expected)


def test_an_unknown_cell_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown cell 'grup'.*did you mean 'gru'"):
        RecurrentStack("grup", E, H)


B, T, E, H = 3, 5, 4, 6


def _pair(dtype: torch.dtype = torch.float64) -> tuple[Gru, nn.GRU]:
    ours = Gru(E, H, batch_first=True).to(dtype)
    for parameter in ours.parameters():
        nn.init.normal_(parameter, std=0.4)
    theirs = nn.GRU(E, H, batch_first=True).to(dtype)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def _inputs(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    return tuple(
        torch.randn(size, dtype=dtype, requires_grad=True) for size in ((B, T, E), (1, B, H))
    )


def test_values_and_gradients_are_pytorch_s() -> None:
    (ours, theirs), given = _pair(), _inputs()
    found, expected = ours(*given), theirs(*given)
    torch.testing.assert_close(found, expected)
    weights = [torch.randn_like(one) for one in expected]
    for _ in range(2):  # going back once changes nothing for the second time
        torch.testing.assert_close(
            torch.autograd.grad(found, [*given, *ours.parameters()], weights, retain_graph=True),
            torch.autograd.grad(
                expected, [*given, *theirs.parameters()], weights, retain_graph=True
            ),
        )


def test_either_result_alone_and_no_first_state() -> None:
    (ours, theirs), (inputs, _) = _pair(), _inputs()
    for place in (0, 1):
        found, expected = (model(inputs)[place].square().sum() for model in (ours, theirs))
        torch.testing.assert_close(
            torch.autograd.grad(found, inputs), torch.autograd.grad(expected, inputs)
        )


def test_gradients_agree_with_finite_differences() -> None:
    ours, _ = _pair()
    assert torch.autograd.gradcheck(ours, _inputs())


def test_single_precision_is_as_near_as_pytorch_s() -> None:
    torch.manual_seed(1)
    (ours, theirs), (exact, _) = _pair(torch.float32), _pair()
    exact.load_state_dict(ours.state_dict())
    inputs = torch.randn(64, 9, E)
    expected = exact(inputs.double())[0].detach()
    away = [float((model(inputs)[0].detach() - expected).abs().max()) for model in (ours, theirs)]
    assert away[0] < 2 * away[1]


def test_half_precision_and_evaluation_are_pytorch_s_own() -> None:
    ours, theirs = _pair(torch.float32)
    inputs = torch.randn(B, T, E, requires_grad=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = [model(inputs)[0] for model in (ours, theirs)]
    with torch.no_grad():
        calm = [model(inputs)[0] for model in (ours, theirs)]
    for found, expected in (half, calm):
        assert found.dtype == expected.dtype and torch.equal(found, expected)


@pytest.mark.parametrize(
    "kind", [{"bias": False}, {"bidirectional": True}, {"batch_first": False}, {"num_layers": 2}]
)
def test_other_layers_are_pytorch_s_own(kind: dict[str, bool]) -> None:
    chosen: dict[str, Any] = {"batch_first": True, **kind}
    ours, theirs = Gru(E, H, **chosen), nn.GRU(E, H, **chosen)
    theirs.load_state_dict(ours.state_dict())
    inputs = torch.randn(B, T, E)
    assert torch.equal(ours(inputs)[0], theirs(inputs)[0])


def test_single_sequences_and_packed_batches_are_read() -> None:
    ours, theirs = _pair(torch.float32)
    one = torch.randn(T, E)
    assert torch.equal(ours(one)[0], theirs(one)[0])
    packed = nn.utils.rnn.pack_sequence([torch.randn(size, E) for size in (5, 3, 1)])
    assert torch.equal(ours(packed)[0].data, theirs(packed)[0].data)

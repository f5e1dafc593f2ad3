"""The GRU with gradients of its own against PyTorch's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.models.recurrent_cells import Gru

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

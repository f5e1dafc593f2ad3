"""Input feeding as one function against the same walk step by step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.attention.base import Memory
from bench.models import fed_loop
from bench.models.recurrent import AfterDecoder
from bench.models.recurrent_cells import LayerParameters

SCORES = ["dot", "scaled-dot", "general"]


@pytest.fixture
def walk(make_model: Callable, make_batch: Callable, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """Outputs of a decoder, their gradients, and how often it went in one function."""
    _, mask, tokens = make_batch([6, 1, 4])
    calls: list[object] = []
    whole = fed_loop.walk

    def counted(*given: Any) -> fed_loop.Walked:
        calls.append(given)
        return whole(*given)

    monkeypatch.setattr(fed_loop, "walk", counted)

    def run(
        decoder: AfterDecoder, *, need_weights: bool, outputs: tuple[str, ...] = ("features",)
    ) -> tuple[list[Tensor], list[Tensor], int]:
        torch.manual_seed(3)
        states = torch.randn(3, 6, 8, dtype=torch.float64, requires_grad=True)
        summary = torch.randn(3, 8, dtype=torch.float64, requires_grad=True)
        calls.clear()
        decoded = decoder(tokens, Memory(states, mask, summary), need_weights=need_weights)
        made = [getattr(decoded, name) for name in outputs]
        torch.manual_seed(4)
        weights = [torch.randn(one.shape, dtype=one.dtype) for one in made]
        wanted = [states, summary, *decoder.parameters()]
        return made, list(torch.autograd.grad(made, wanted, weights)), len(calls)

    return run


@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize("outputs", [("features",), ("features", "contexts", "hidden")])
def test_one_function_gives_what_the_steps_give(
    outputs: tuple[str, ...], score: str, make_model: Callable, walk: Callable
) -> None:
    _, decoder = make_model("global", score, decoder_layers=1, input_feeding=True)
    found, gradients, calls = walk(decoder, need_weights=False, outputs=outputs)
    expected, slow_gradients, slow_calls = walk(decoder, need_weights=True, outputs=outputs)
    assert (calls, slow_calls) == (1, 0)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients, slow_gradients)


def test_dropout_draws_the_same_either_way(make_model: Callable, walk: Callable) -> None:
    _, decoder = make_model("global", "general", decoder_layers=1, input_feeding=True, dropout=0.5)
    decoder.train()
    torch.manual_seed(3)
    found, gradients, calls = walk(decoder, need_weights=False)
    torch.manual_seed(3)
    expected, slow_gradients, _ = walk(decoder, need_weights=True)
    assert calls == 1 and (found[0] == 0).any()
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients, slow_gradients)


@pytest.mark.parametrize(
    ("attention", "score", "changed"),
    [
        ("global", "concat", {}),
        ("local-m", "dot", {}),
        ("over", "dot", {}),
        ("global", "dot", {"cell": "lstm"}),
        ("global", "dot", {"decoder_layers": 2}),
        ("global", "dot", {"residual": True}),
        ("global", "dot", {"options": {"normaliser": "sparsemax"}}),
        ("global", "dot", {"options": {"attention_size": 4}}),
    ],
)
def test_what_is_more_than_a_plain_walk_goes_step_by_step(
    attention: str, score: str, changed: dict[str, Any], make_model: Callable, walk: Callable
) -> None:
    _, decoder = make_model(
        attention, score, **{"decoder_layers": 1, "input_feeding": True, **changed}
    )
    found, gradients, calls = walk(decoder, need_weights=False)
    expected, slow_gradients, _ = walk(decoder, need_weights=True)
    assert calls == 0
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients, slow_gradients)


def test_gradients_agree_with_finite_differences() -> None:
    B, T, S, E, H = 2, 3, 4, 3, 2
    F, C = 3, 2
    torch.manual_seed(1)

    def made(*size: int) -> Tensor:
        return torch.randn(size, dtype=torch.float64, requires_grad=True)

    sizes = [(B, T, E), (B, H), (B, F), (B, S, H), (B, S, C)]
    sizes += [(3 * H, E + F), (3 * H, H), (3 * H,), (3 * H,), (F, C + H), (F,)]
    mask = torch.tensor([[True] * S, [True, False, True, False]])
    factors = [torch.rand(B, T, H).double(), torch.rand(B, T, F).double()]

    def function(*given: Tensor) -> tuple[Tensor, ...]:
        embedded, first, fed, keys, values, *parameters = given
        walked = fed_loop.walk(
            embedded,
            first,
            fed,
            fed_loop.DotProducts(keys, values, mask, 0.7),
            fed_loop.Parameters(LayerParameters(*parameters[:4]), *parameters[4:]),
            fed_loop.Dropped(*factors),
        )
        return walked.vectors, walked.states, walked.contexts

    assert torch.autograd.gradcheck(function, [made(*size) for size in sizes])

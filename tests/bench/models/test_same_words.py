"""A step over many hypotheses projects a word that several end in once."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from bench.models import recurrent as recurrent_decoder
from bench.models.base import Decoded


@pytest.mark.parametrize("cell", ["gru", "lstm"])
@pytest.mark.parametrize("feeding", [False, True])
def test_a_step_is_the_same(
    feeding: bool,
    cell: str,
    make_model: Callable,
    make_batch: Callable,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    encoder, decoder = (
        make_model("global", "general", cell=cell, input_feeding=True, residual=True)
        if feeding
        else make_model("soft", "concat", cell=cell)
    )
    features, mask, _ = make_batch([6, 1, 4, 3, 2])
    tokens = torch.tensor([4, 2, 4, 7, 2])
    projected: list[int] = []
    whole = decoder.stack.steps

    def counted(known: torch.Tensor, *places: torch.Tensor) -> object:
        projected.append(len(known))
        return whole(known, *places)

    monkeypatch.setattr(decoder.stack, "steps", counted)

    @torch.no_grad()
    def two_steps(many: int) -> list[Decoded]:
        monkeypatch.setattr(recurrent_decoder, "MANY", many)
        first, state = decoder.step(tokens, decoder.start(encoder(features, mask)))
        return [first, decoder.step(tokens.flip(0), state)[0]]

    found, expected = two_steps(5), two_steps(6)
    assert projected == [3, 3, 5, 5]
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one.features, other.features)
        torch.testing.assert_close(one.hidden, other.hidden)

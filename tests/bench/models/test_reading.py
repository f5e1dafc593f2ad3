"""Texts that are read: padding after them changes nothing, and words meet what answers them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from bench.attention.registries import attentions
from bench.models.heads import read

CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in attentions.names() if name != "hard"),
    ("over", {"causal": False}),
]


@pytest.mark.parametrize(("attention", "options"), CASES)
def test_padding_after_a_text_changes_nothing(
    attention: str, options: dict[str, Any], make_model: Callable, make_batch: Callable
) -> None:
    kind = attentions.get(attention)
    encoder, decoder = make_model(attention, kind.classic_score, options=options)
    features, mask, tokens = make_batch([3, 5], targets=5)
    memory = encoder(features, mask)
    tokens[0, 3:] = 0
    together = read(decoder, kind.placement, tokens, memory, need_weights=True)
    first = torch.tensor([0])
    alone = read(decoder, kind.placement, tokens[:1, :3], memory.select(first), need_weights=True)
    assert together.mask.tolist() == [[True, True, False, False], [True] * 4]
    torch.testing.assert_close(together.states[:1, :2], alone.states)
    torch.testing.assert_close(together.contexts[:1, :2], alone.contexts)
    if alone.weights is not None:
        torch.testing.assert_close(together.weights[:1, :2], alone.weights)


@pytest.mark.parametrize(("attention", "later"), [("soft", 1), ("global", 0)])
def test_a_word_meets_what_its_state_attends_to(
    attention: str, later: int, make_model: Callable, make_batch: Callable
) -> None:
    kind = attentions.get(attention)
    encoder, decoder = make_model(attention, kind.classic_score)
    features, mask, tokens = make_batch([3, 5])
    memory = encoder(features, mask)
    found = read(decoder, kind.placement, tokens, memory)
    steps = decoder(tokens, memory)
    T = tokens.shape[1] - 1
    torch.testing.assert_close(found.states, steps.hidden[:, :T])
    torch.testing.assert_close(found.contexts, steps.contexts[:, later : T + later])

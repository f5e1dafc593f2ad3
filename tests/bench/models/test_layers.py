"""Heads for classes, decoders that read a given text, and dropout by 16 bits an element."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.attention.registries import attentions
from bench.models.layers import (
    ClassHead,
    ComparedWords,
    ComparisonHead,
    LastStateHead,
    dropout,
    read,
)

STATE, CONTEXT, WORD, SIZE, CLASSES = 5, 7, 4, 6, 3


def some_words() -> ComparedWords:
    return ComparedWords(
        text=torch.randn(2, 4, WORD),
        text_found=torch.randn(2, 4, WORD),
        text_mask=torch.tensor([[True] * 4, [True, True, False, False]]),
        source=torch.randn(2, 3, WORD),
        source_found=torch.randn(2, 3, WORD),
        source_mask=torch.tensor([[True] * 3, [True, False, False]]),
    )


def pooled(layer: torch.nn.Module, one: Tensor, other: Tensor) -> Tensor:
    """Of T,K and T,K without padding: 2K."""
    rows = torch.cat((one, other, (one - other).abs(), one * other), dim=1)
    compared = torch.relu(layer(rows))
    return torch.cat((compared.mean(dim=0), compared.max(dim=0).values))


def test_states_and_words_are_compared_as_written() -> None:
    torch.manual_seed(1)
    head = ComparisonHead(STATE, CONTEXT, SIZE, CLASSES, 0.0, WORD).eval()
    words = some_words()
    states, contexts = torch.randn(2, 4, STATE), torch.randn(2, 4, CONTEXT)
    found = head(states, contexts, words.text_mask, words)
    assert head.word is not None and head.compare_words is not None
    for row, (text, source) in enumerate([(4, 3), (2, 1)]):
        parts = [
            pooled(head.compare, head.state(states[row, :text]), head.context(contexts[row, :text]))
        ]
        for one, other, length in (
            (words.text, words.text_found, text),
            (words.source, words.source_found, source),
        ):
            pair = head.word(one[row, :length]), head.word(other[row, :length])
            parts.append(pooled(head.compare_words, *pair))
        expected = head.classify(torch.tanh(head.join(torch.cat(parts))))
        torch.testing.assert_close(found[row], expected)


HEADS: list[Callable[[], ClassHead]] = [
    lambda: ComparisonHead(STATE, CONTEXT, SIZE, CLASSES, 0.0, WORD),
    lambda: LastStateHead(STATE, CONTEXT, SIZE, CLASSES, 0.0),
]


@pytest.mark.parametrize("make", HEADS, ids=["compare", "last"])
def test_padding_changes_nothing(make: Callable[[], ClassHead]) -> None:
    torch.manual_seed(1)
    head, words = make().eval(), some_words()
    states, contexts = torch.randn(2, 4, STATE), torch.randn(2, 4, CONTEXT)
    found = head(states, contexts, words.text_mask, words)
    text, source = ~words.text_mask[..., None], ~words.source_mask[..., None]
    other = replace(
        words,
        text=words.text.masked_fill(text, 7.0),
        source=words.source.masked_fill(source, 7.0),
    )
    states, contexts = states.masked_fill(text, 7.0), contexts.masked_fill(text, 7.0)
    torch.testing.assert_close(head(states, contexts, words.text_mask, other), found)


def test_the_last_state_is_the_last_real_one() -> None:
    torch.manual_seed(1)
    head = LastStateHead(STATE, CONTEXT, SIZE, CLASSES, 0.0).eval()
    mask = torch.tensor([[True, True, False]])
    states, contexts = torch.randn(1, 3, STATE), torch.randn(1, 3, CONTEXT)
    joined = torch.tanh(head.state(states[0, 1]) + head.context(contexts[0, 1]))  # type: ignore[misc]
    torch.testing.assert_close(head(states, contexts, mask)[0], head.classify(joined))


def test_the_last_state_alone_is_conditional_encoding() -> None:
    head = LastStateHead(STATE, 0, SIZE, CLASSES, 0.0).eval()
    states, mask = torch.randn(2, 3, STATE), torch.ones(2, 3, dtype=torch.bool)
    found = [head(states, torch.randn(2, 3, CONTEXT), mask) for _ in range(2)]
    torch.testing.assert_close(*found)


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
    together = read(decoder, tokens, memory, need_weights=True)
    first = torch.tensor([0])
    alone = read(decoder, tokens[:1, :3], memory.select(first), need_weights=True)
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
    found = read(decoder, tokens, memory)
    steps = decoder(tokens, memory)
    T = tokens.shape[1] - 1
    torch.testing.assert_close(found.states, steps.hidden[:, :T])
    torch.testing.assert_close(found.contexts, steps.contexts[:, later : T + later])


@pytest.mark.parametrize("probability", [0.1, 0.25, 0.5, 0.9])
def test_the_share_of_zeros_and_the_mean(probability: float) -> None:
    ones = torch.ones(401, 499)  # not a multiple of four
    dropped = dropout(ones, probability, True)
    count = ones.numel()
    deviation = (probability * (1 - probability) / count) ** 0.5
    assert abs(float((dropped == 0).float().mean()) - probability) < 5 * deviation
    assert float(dropped.max()) == pytest.approx(1 / (1 - probability), rel=1e-4)
    assert float(dropped.mean()) == pytest.approx(1.0, abs=5 * deviation / (1 - probability))


def test_neighbours_are_dropped_independently() -> None:
    zero = (dropout(torch.ones(400_000), 0.5, True) == 0).double() - 0.5
    for distance in (1, 2, 3, 4, 8):
        covariance = float((zero[:-distance] * zero[distance:]).mean())
        assert abs(covariance) < 5 * 0.25 / 400_000**0.5


def test_it_rests_in_evaluation_and_at_zero_and_takes_all_at_one() -> None:
    tensor = torch.randn(5, 3)
    assert dropout(tensor, 0.5, False) is tensor
    assert dropout(tensor, 0.0, True) is tensor
    assert not dropout(tensor, 1.0, True).any()
    assert dropout(torch.ones(0, 3), 0.5, True).shape == (0, 3)


def test_a_seed_fixes_the_outcome() -> None:
    tensor = torch.randn(50)
    torch.manual_seed(5)
    first, second = dropout(tensor, 0.5, True), dropout(tensor, 0.5, True)
    torch.manual_seed(5)
    assert torch.equal(dropout(tensor, 0.5, True), first)
    assert not torch.equal(second, first)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
def test_the_gradient_takes_the_way_the_values_took(dtype: torch.dtype) -> None:
    tensor = torch.ones(7, 9, dtype=dtype, requires_grad=True)
    dropped = dropout(tensor, 0.5, True)
    assert dropped.dtype == dtype
    (gradient,) = torch.autograd.grad(dropped.sum(), tensor)
    assert torch.equal(gradient, dropped.detach())

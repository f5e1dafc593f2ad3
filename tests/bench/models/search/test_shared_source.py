"""Hypotheses of a sentence that share its keys: what they are given and what they would be given by
keys of their own."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from attention_pairs import valid_pairs

from bench.attention.registries import NO_SCORE, scores
from bench.models.base import DecoderState, select_rows

PAIRS = [(name, score) for name, score, reason in valid_pairs() if reason is None]
#: Hypotheses a sentence.
MANY = 3
SHARING = [
    (attention, score)
    for attention, score in PAIRS
    if attention in ("soft", "global", "key-value", "aoa", "uniform")
    and (score == NO_SCORE or not scores.get(score).reads)
]


@pytest.mark.parametrize(("attention", "score"), PAIRS)
def test_those_share_whose_steps_depend_on_query_and_keys_alone(
    attention: str, score: str, make_model: Callable
) -> None:
    decoder = make_model(attention, score)[1]
    assert decoder.source_shared_across_beams == ((attention, score) in SHARING)


@pytest.mark.parametrize("options", [{"test_window": 2}, {"normaliser": "sparsemax"}])
def test_options_count(options: dict, make_model: Callable) -> None:
    """A window around the weights of the step before is each hypothesis's own."""
    decoder = make_model("soft", "concat", options=options)[1]
    assert decoder.source_shared_across_beams == ("normaliser" in options)


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize(
    ("attention", "score", "changed"),
    [
        *(pytest.param(*pair, {}, id=" ".join(pair)) for pair in SHARING),
        pytest.param("global", "general", {"input_feeding": True}, id="fed"),
        pytest.param("soft", "dot", {"rnn_type": "lstm"}, id="lstm"),
    ],
)
def test_shared_keys_change_nothing(
    attention: str,
    score: str,
    changed: dict,
    need_weights: bool,
    make_model: Callable,
    make_batch: Callable,
) -> None:
    encoder, decoder = make_model(attention, score, **changed)
    features, mask, tokens = make_batch([3, 5, 2, 6], targets=MANY)
    start = decoder.start(encoder(features, mask))
    every = torch.arange(4).repeat_interleave(MANY)
    alone = select_rows(start, every)
    shared = DecoderState(start.source, alone.progress)
    for _ in range(2):  # the second step has states that differ
        expected, alone = decoder.step(tokens.flatten(), alone, need_weights=need_weights)
        found, shared = decoder.step(tokens.flatten(), shared, need_weights=need_weights)
        torch.testing.assert_close(found.features, expected.features)
        torch.testing.assert_close(found.contexts, expected.contexts)
        assert (found.weights is None) == (expected.weights is None)
        if need_weights:
            torch.testing.assert_close(found.weights, expected.weights)
        assert shared.source is start.source
    rows = found.features.view(4, MANY, -1)
    assert (rows[:, 0] - rows[:, 1]).abs().max() > 1e-3, "equal hypotheses would prove little"

"""Mechanisms from names: what is valid, what is refused, and how it is said."""

from __future__ import annotations

import pickle

import pytest
import torch
from attention_pairs import valid_pairs

from bench.attention.attention import build_attention
from bench.attention.base import AttentionState, Keys, Memory, Sizes, lengths_to_mask
from bench.attention.mechanisms.soft import SoftOptions
from bench.attention.registries import attentions, scores
from bench.errors import NotApplicable, UsageError

SIZES = Sizes(4, 4)


def test_the_mechanisms_and_scores_of_the_survey_are_there() -> None:
    assert set(attentions.names()) > {
        *("none", "soft", "hard", "global", "local-m", "local-p"),
        *("self", "hierarchical", "over", "multi-step"),
    }
    assert set(scores.names()) > {"dot", "scaled-dot", "general", "concat", "location-aware"}


def test_location_aware_is_refused_where_there_is_no_previous_step() -> None:
    refused = {(a, s): reason for a, s, reason in valid_pairs() if s == "location-aware" and reason}
    at_once = {"self", "over", "multi-step", "linear", "performer", "nystrom"}
    assert set(refused) == {(name, "location-aware") for name in at_once}
    for (name, _), reason in refused.items():
        assert "has no previous step" in reason or name in ("linear", "performer")


def test_every_pair_is_listed_once_and_some_have_no_score() -> None:
    pairs = [(a, s) for a, s, _ in valid_pairs()]
    scoreless = [name for name, kind in attentions.items() if kind.classic_score == "none"]
    scored = len(attentions.names()) - len(scoreless)
    assert len(pairs) == len(set(pairs)) == scored * len(scores.names()) + len(scoreless)
    assert {(name, "none") for name in scoreless} <= set(pairs) and "none" in scoreless


@pytest.mark.parametrize("name", attentions.names())
def test_every_mechanism_says_what_it_is(name: str) -> None:
    kind = attentions.get(name)
    assert kind.summary and kind.citation
    assert kind.refusal(kind.classic_score, kind.backbone) is None


@pytest.mark.parametrize(
    ("name", "placement", "classic"),
    [
        ("none", "fixed", "none"),
        ("soft", "previous-state", "concat"),
        ("hard", "previous-state", "concat"),
        ("global", "current-state", "general"),
        ("local-m", "current-state", "general"),
        ("local-p", "current-state", "general"),
        ("self", "current-state", "scaled-dot"),
        ("hierarchical", "current-state", "concat"),
        ("over", "current-state", "dot"),
        ("multi-step", "current-state", "dot"),
        ("gaussian-mixture", "previous-state", "none"),
        ("forward", "previous-state", "location-aware"),
        ("monotonic", "previous-state", "concat"),
        ("mocha", "previous-state", "concat"),
        ("stepwise-monotonic", "previous-state", "concat"),
    ],
)
def test_placements_and_classic_scores(name: str, placement: str, classic: str) -> None:
    kind = attentions.get(name)
    assert (kind.placement, kind.classic_score) == (placement, classic)


def test_a_class_is_built_like_its_name() -> None:
    assert type(build_attention("soft", SIZES)) is attentions.get("soft")
    assert type(build_attention(attentions.get("soft"), SIZES)) is attentions.get("soft")


@pytest.mark.parametrize(
    ("attention", "score", "options", "message"),
    [
        ("golbal", None, None, "unknown attention 'golbal'; did you mean 'global'"),
        ("soft", "dott", None, "unknown score 'dott'; did you mean 'dot'"),
        ("self", "dott", None, "unknown score 'dott'; did you mean 'dot'"),
        (
            "soft",
            "dot",
            SoftOptions(normaliser="softmx"),
            "normaliser: unknown normaliser 'softmx'; did you mean 'softmax'",
        ),
    ],
)
def test_wrong_names_are_answered_with_the_nearest(
    attention: str, score: str | None, options: SoftOptions | None, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        build_attention(attention, SIZES, score, options)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_a_refusal_carries_its_reason_between_processes() -> None:
    with pytest.raises(NotApplicable) as caught:
        build_attention("soft", Sizes(4, 6), "dot")
    told = pickle.loads(pickle.dumps(caught.value))
    assert type(told) is NotApplicable and str(told) == str(caught.value)
    assert told.what == "dot needs equal sizes, queries have 4 and keys 6"


def test_refused_pairs_cannot_be_built() -> None:
    for attention, score, reason in valid_pairs():
        if reason is not None:
            with pytest.raises(NotApplicable) as caught:
                build_attention(attention, SIZES, score)
            assert caught.value.what == reason


def test_unknown_options_are_refused() -> None:
    with pytest.raises(ValueError, match="gaet"):
        SoftOptions(gaet=True)


def test_the_rows_of_a_memory_are_selected_together() -> None:
    mask = lengths_to_mask(torch.tensor([3, 1]), 3)
    states = torch.randn(2, 3, 4)
    segments = torch.tensor([[0, 0, 1], [0, 9, 9]])
    memory = Memory(states, mask, states[:, 0], values=states + 1, segments=segments, grid=(1, 3))
    assert mask.tolist() == [[True, True, True], [True, False, False]]
    assert memory.lengths.tolist() == [3, 1]
    index = torch.tensor([1, 1, 0])
    chosen = memory.select(index)
    assert chosen.grid == (1, 3)
    for name in ("states", "mask", "summary", "values", "segments"):
        assert torch.equal(getattr(chosen, name), getattr(memory, name)[index])
    keys = Keys(memory, {"keys": states}).select(index)
    assert torch.equal(keys.tensors["keys"], states[index])
    assert torch.equal(keys.memory.states, states[index])
    state = AttentionState(5, {"previous": states}).select(index)
    assert state.position == 5 and torch.equal(state.tensors["previous"], states[index])

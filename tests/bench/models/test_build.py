"""Which family is built for which attention, and what is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from bench.attention import BACKBONES
from bench.attention.registries import attentions
from bench.errors import NotApplicable, UsageError
from bench.models import AttentionChoice, build_decoder
from bench.models.base import ModelConfig
from bench.models.convolutional import ConvolutionalDecoder, ConvolutionalEncoder
from bench.models.recurrent import (
    CurrentStateDecoder,
    FixedDecoder,
    PreviousStateDecoder,
    RecurrentEncoder,
)
from bench.models.transformer import TransformerDecoder, TransformerEncoder

FAMILIES = {
    "fixed": (RecurrentEncoder, FixedDecoder),
    "previous-state": (RecurrentEncoder, PreviousStateDecoder),
    "current-state": (RecurrentEncoder, CurrentStateDecoder),
    "transformer": (TransformerEncoder, TransformerDecoder),
    "convolutional": (ConvolutionalEncoder, ConvolutionalDecoder),
}


@pytest.mark.parametrize("attention", attentions.names())
def test_the_backbone_and_the_placement_pick_the_family(
    attention: str, make_model: Callable
) -> None:
    kind = attentions.get(attention)
    for backbone in BACKBONES:
        if kind.refusal(kind.classic_score, backbone) is None:
            encoder, decoder = make_model(attention, kind.classic_score, backbone=backbone)
            place = kind.placement if backbone == "recurrent" else backbone
            assert (type(encoder), type(decoder)) == FAMILIES[place]


def test_the_length_ratio_and_the_axes_reach_the_mechanism(sizes: ModelConfig) -> None:
    kind = attentions.get("local-m")
    choice = AttentionChoice(kind, "dot", kind.Options(), kind.backbone, length_ratio=3.0)
    decoder = build_decoder(choice, sizes.hidden_dim, 9, sizes)
    assert isinstance(decoder, CurrentStateDecoder)
    assert decoder.attention.window.ratio == 3.0
    kind = attentions.get("local-p")
    choice = AttentionChoice(kind, "dot", kind.Options(), kind.backbone, axes=2)
    decoder = build_decoder(choice, sizes.hidden_dim, 9, sizes)
    assert isinstance(decoder, CurrentStateDecoder)
    assert decoder.attention.window.point.out_features == 2


@pytest.mark.parametrize("attention", ["soft", "none", "self", "multi-step"])
def test_input_feeding_is_refused_where_it_means_nothing(
    attention: str, make_model: Callable
) -> None:
    with pytest.raises(NotApplicable, match="input feeding"):
        make_model(attention, "none" if attention == "none" else "dot", input_feeding=True)


@pytest.mark.parametrize("attention", ["global", "none", "self", "multi-step"])
def test_a_state_that_is_dropped_is_refused_where_no_context_enters_the_cells(
    attention: str, make_model: Callable
) -> None:
    with pytest.raises(NotApplicable, match="requires a recurrent decoder"):
        make_model(attention, "none" if attention == "none" else "dot", carry=False)


def test_a_score_that_the_mechanism_refuses_is_refused(make_model: Callable) -> None:
    with pytest.raises(NotApplicable, match="no previous step"):
        make_model("self", "location-aware")


def test_sizes_that_do_not_suit_the_score_are_refused(sizes: ModelConfig) -> None:
    kind = attentions.get("global")
    choice = AttentionChoice(kind, "dot", kind.Options(), kind.backbone)
    with pytest.raises(NotApplicable, match="equal sizes"):
        build_decoder(choice, sizes.hidden_dim + 2, 9, sizes)


@pytest.mark.parametrize("layers", [(), (0,), (3,), (1, 4)])
def test_layers_that_are_not_there_cannot_attend(
    layers: tuple[int, ...], make_model: Callable
) -> None:
    with pytest.raises(UsageError, match="does not fit 2 decoder layers"):
        make_model("multi-step", "dot", attention_layers=layers)


def test_heads_must_share_the_size(make_model: Callable) -> None:
    with pytest.raises(UsageError, match="num_heads=3"):
        make_model("self", "dot", num_heads=3)


def test_padding_embeds_to_nothing_and_the_rest_with_variance_one_over_size(
    sizes: ModelConfig,
) -> None:
    kind = attentions.get("none")
    choice = AttentionChoice(kind, "none", kind.Options(), kind.backbone)
    embedding = build_decoder(
        choice, sizes.hidden_dim, 4000, replace(sizes, embedding_dim=16)
    ).embedding.weight.detach()
    assert not embedding[0].any()
    assert float(embedding[1:].std()) == pytest.approx(0.25, rel=0.02)


def test_activations_keep_their_variance_through_convolutions(sizes: ModelConfig) -> None:
    """What the initialisation of Gehring 2017, section 3.5, is for."""
    deep = replace(sizes, embedding_dim=64, hidden_dim=64, encoder_layers=8)
    encoder = ConvolutionalEncoder(64, deep).eval()
    features = torch.randn(8, 40, 64)
    mask = torch.ones(8, 40, dtype=torch.bool)
    deviation = float(encoder(features, mask).states.detach().std())
    assert 0.4 < deviation < 3.0


def test_an_untrained_choice_of_sizes_still_gives_features_of_the_embedding(
    make_model: Callable, make_batch: Callable
) -> None:
    for attention, kind in attentions.items():
        encoder, decoder = make_model(attention, kind.classic_score, embedding_dim=4, hidden_dim=12)
        features, mask, tokens = make_batch([3, 2])
        assert decoder(tokens, encoder(features, mask)).features.shape == (2, 6, 4)

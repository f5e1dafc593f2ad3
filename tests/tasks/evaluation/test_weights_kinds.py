"""What alignment figures and traces make of weights that are no distribution."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from bench.attention import Backbone
from bench.attention.registries import attentions
from bench.models import AttentionChoice, build_decoder
from bench.models.base import Decoder, ModelConfig
from tasks.data.batching import Matrices
from tasks.evaluation.alignment import weights_notes


def decoder(attention: str, backbone: Backbone, **options: Any) -> Decoder:
    kind = attentions.get(attention)
    choice = AttentionChoice(kind, kind.classic_score, kind.Options(**options), backbone)
    sizes = {"embedding_dim": 8, "hidden_dim": 8, "num_heads": 2, "ffn_dim": 8}
    return build_decoder(choice, 8, 9, ModelConfig(**sizes))


def test_a_weight_becomes_its_share_of_the_absolute_sum() -> None:
    signed = torch.tensor([[[1.5, -0.5, 0.0], [0.0, 0.0, 0.0]]])
    found = Matrices.of(signed, {"head 1": -2 * signed}, "signed")
    shares = np.array([[[0.75, 0.25, 0.0], [0.0, 0.0, 0.0]]])
    np.testing.assert_allclose(found.weights, shares)
    np.testing.assert_allclose(found.parts["head 1"], shares)


def test_a_distribution_stays_as_it_is_to_the_last_bit() -> None:
    weights = torch.rand(2, 3, 5).softmax(-1)
    found = Matrices.of(weights, {}).weights
    assert found is not None and np.array_equal(found, weights.numpy())


@pytest.mark.parametrize(
    ("attention", "backbone", "options", "kind"),
    [
        ("soft", "recurrent", {"normaliser": "sigmoid"}, "unnormalised"),
        ("global", "convolutional", {"heads": 2, "talking_heads": True}, "signed"),
        ("self", "transformer", {"sink": True}, "sub-distribution"),
    ],
)
def test_a_decoder_knows_its_weights_and_the_record_says_so(
    attention: str, backbone: Backbone, options: dict[str, Any], kind: str
) -> None:
    model = decoder(attention, backbone, **options)
    assert model.weights_kind == kind
    [note] = weights_notes(model.weights_kind)
    assert f"weights are {kind}" in note


@pytest.mark.parametrize("attention", ["none", "soft"])
def test_distributions_need_no_note(attention: str) -> None:
    model = decoder(attention, "recurrent")
    assert model.weights_kind == "distribution" and weights_notes(model.weights_kind) == ()

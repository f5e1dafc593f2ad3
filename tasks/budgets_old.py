"""What budgets mean where the data sets of several tasks agree."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from bench.attention.base import Placement

Family = Literal["recurrent", "transformer", "convolutional"]

#: `smoke`: everything runs once, in seconds.
SMOKE: Mapping[str, Any] = {
    "steps": 12,
    "batch_units": 300,
    "validations": 2,
    "hidden": 32,
    "embedding": 32,
    "heads": 2,
    "feed_forward": 64,
    "train_limit": 400,
    "test_limit": 24,
    "traces": 2,
}

#: `gpu`, models of text. The papers' sizes: Bahdanau 2015 (section 4.2), Vaswani 2017 (base),
#: Gehring 2017 (section 4.2, with half its layers: the data sets here are smaller than WMT).
PUBLISHED: Mapping[Family, Mapping[str, Any]] = {
    "recurrent": {"hidden": 1000, "embedding": 620, "batch_units": 6000, "learning_rate": 5e-4},
    "transformer": {
        "hidden": 512,
        "embedding": 512,
        "encoder_layers": 6,
        "decoder_layers": 6,
        "heads": 8,
        "feed_forward": 2048,
        "batch_units": 12000,
        "learning_rate": 7e-4,
        "schedule": "inverse-sqrt",
    },
    "convolutional": {
        "hidden": 512,
        "embedding": 512,
        "encoder_layers": 8,
        "decoder_layers": 8,
        "batch_units": 6000,
        "learning_rate": 5e-4,
    },
}


def family(placement: Placement) -> Family:
    """The family of models that an attention's placement belongs to."""
    match placement:
        case "transformer" | "convolutional":
            return placement
        case _:
            return "recurrent"

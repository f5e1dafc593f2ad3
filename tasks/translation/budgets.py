"""What each budget means for each translation data set. Chosen on validation data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.attention.base import Placement

_SMOKE: Mapping[str, Any] = {
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

# The papers' sizes: Bahdanau 2015 (section 4.2), Vaswani 2017 (base), Gehring 2017 (section 4.2,
# with half its layers: the data sets here are smaller than WMT).
_PUBLISHED: Mapping[str, Mapping[str, Any]] = {
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


def family(placement: Placement) -> str:
    """The family of models an attention's placement belongs to."""
    return placement if placement in ("transformer", "convolutional") else "recurrent"


def probe_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """The probe: some 15 core-seconds a cell under `laptop`."""
    if budget == "smoke":
        return _SMOKE
    if budget == "gpu":
        return {"steps": 4000, "dropout": 0.1, **_PUBLISHED[family(placement)]}
    base = {
        "steps": 300,
        "batch_units": 1000,
        "hidden": 128,
        "embedding": 64,
        "validations": 6,
        "learning_rate": 5e-3,
    }
    if placement == "transformer":
        return {**base, "encoder_layers": 2, "decoder_layers": 2}
    if placement == "convolutional":
        return {**base, "encoder_layers": 2, "decoder_layers": 2}
    return base


def parallel_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """Real sentences: subwords, smoothing, more dropout; about 15 core-minutes under `laptop`."""
    text = {"tokens": "bpe", "vocabulary": 5000, "label_smoothing": 0.1, "dropout": 0.3}
    if budget == "smoke":
        return {**_SMOKE, "tokens": "bpe", "vocabulary": 400}
    if budget == "gpu":
        return {**text, "steps": 20000, "validations": 20, **_PUBLISHED[family(placement)]}
    base = {
        **text,
        "steps": 1200,
        "batch_units": 2000,
        "validations": 8,
        "hidden": 256,
        "embedding": 256,
        "learning_rate": 3e-3,
    }
    if placement == "transformer":
        return {
            **base,
            "encoder_layers": 3,
            "decoder_layers": 3,
            "feed_forward": 512,
            "learning_rate": 2e-3,
        }
    if placement == "convolutional":
        return {**base, "encoder_layers": 3, "decoder_layers": 3, "learning_rate": 2e-3}
    return base

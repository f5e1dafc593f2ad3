"""What each budget means for each translation data set. Chosen on validation data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tasks.budgets_old import PUBLISHED, SMOKE, Family, family

if TYPE_CHECKING:
    from bench.attention.base import Placement


def probe_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """The probe: 12 to 30 core-seconds a cell under `laptop`; `self` takes 37."""
    if budget == "smoke":
        return SMOKE
    if budget == "gpu":
        return {"steps": 4000, "dropout": 0.1, **PUBLISHED[family(placement)]}
    base = {
        "steps": 450,
        "batch_units": 600,
        "hidden": 128,
        "embedding": 64,
        "validations": 6,
        "learning_rate": 8e-3,
    }
    if family(placement) == "recurrent":
        return base
    return {**base, "encoder_layers": 2, "decoder_layers": 2, "learning_rate": 5e-3}


def parallel_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """Real sentences: subwords, smoothing, more dropout; about 15 core-minutes under `laptop`."""
    text = {"tokens": "bpe", "vocabulary": 5000, "label_smoothing": 0.1, "dropout": 0.3}
    if budget == "smoke":
        return {**SMOKE, "tokens": "bpe", "vocabulary": 400}
    if budget == "gpu":
        return {**text, "steps": 20000, "validations": 20, **PUBLISHED[family(placement)]}
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

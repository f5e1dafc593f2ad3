"""What each budget means for each captioning data set. Chosen on validation data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.attention.base import Placement

_SMOKE: Mapping[str, Any] = {
    "steps": 8,
    "batch_units": 200,
    "validations": 2,
    "hidden": 32,
    "embedding": 32,
    "heads": 2,
    "feed_forward": 64,
    "width": 8,
    "train_limit": 200,
    "test_limit": 16,
    "traces": 2,
    "max_length": 20,
}


def probe_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """The probe: some 15 core-seconds a cell under `laptop`."""
    if budget == "smoke":
        return _SMOKE
    base = {
        "steps": 150,
        "batch_units": 1500,
        "hidden": 128,
        "embedding": 64,
        "validations": 5,
        "learning_rate": 5e-3,
        "dropout": 0.0,
        "max_length": 60,
    }
    if placement in ("transformer", "convolutional"):
        return {**base, "encoder_layers": 1, "decoder_layers": 2}
    return base

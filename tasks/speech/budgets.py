"""What each budget means for each speech data set. Chosen on validation data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tasks.budgets import PUBLISHED, SMOKE, family

if TYPE_CHECKING:
    from bench.attention.base import Placement


def probe_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """The probe. Batches are counted in frames here."""
    if budget == "smoke":
        return {**SMOKE, "batch_units": 1500, "front_size": 32}
    if budget == "gpu":
        return {"steps": 4000, **PUBLISHED[family(placement)], "batch_units": 40000}
    return {"learning_rate": 5e-3 if family(placement) == "recurrent" else 3e-3}


def recorded_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """Recorded speech: more steps, SpecAugment, dropout."""
    masked = {"mask_bands": 6, "mask_frames": 20, "dropout": 0.2}
    if budget == "smoke":
        return {**SMOKE, "batch_units": 3000, "front_size": 32}
    if budget == "gpu":
        return {
            **masked,
            "steps": 20000,
            "validations": 20,
            **PUBLISHED[family(placement)],
            "batch_units": 60000,
        }
    return {**masked, "steps": 1200, "batch_units": 8000, "validations": 8, "hidden": 160}

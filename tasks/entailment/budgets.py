"""What each budget means for each entailment data set. Chosen on validation data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tasks.budgets import PUBLISHED, SMOKE, family

if TYPE_CHECKING:
    from bench.attention.base import Placement


def probe_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """The probe: 16 to 30 core-seconds a cell under `laptop`; `self` takes 53."""
    special = {"segments": "clauses", "unknown_embeddings": 1, "residual": True}
    if budget == "smoke":
        return {**SMOKE, **special}
    if budget == "gpu":
        return {**special, "steps": 4000, "validations": 10, **PUBLISHED[family(placement)]}
    base = {
        **special,
        "steps": 700,
        "batch_units": 450,
        "hidden": 64,
        "embedding": 64,
        "dropout": 0.0,
        "validations": 5,
        "learning_rate": 5e-3,
    }
    if placement == "transformer":
        return {**base, "encoder_layers": 2, "decoder_layers": 2, "learning_rate": 3e-3}
    return base


def sentences_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """Real sentences, some thousands of pairs under `laptop`: two to three core-minutes."""
    if budget == "smoke":
        return SMOKE
    words = {"word_vectors": "fixed", "residual": True}
    if budget == "gpu":
        sizes = PUBLISHED[family(placement)]
        return {**words, "steps": 30000, "validations": 30, "dropout": 0.3, **sizes}
    base = {
        **words,
        "steps": 1200,
        "batch_units": 700,
        "hidden": 128,
        "embedding": 128,
        "validations": 12,
        "dropout": 0.4,
        "label_smoothing": 0.1,
        "learning_rate": 3e-3,
    }
    return {**base, "learning_rate": 1e-3} if placement == "transformer" else base

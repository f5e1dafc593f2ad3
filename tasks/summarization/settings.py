"""Settings of summarization: those of all tasks on text, and Rush's encoder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tasks.budgets_old import PUBLISHED, SMOKE, Family, family
from tasks.settings import TextSettings

if TYPE_CHECKING:
    from bench.attention.base import Placement


class SummarySettings(TextSettings):
    """Adds the choice of the encoder."""

    encoder: Literal["family", "rush"] = Field(
        "family", description="that of the attention's family, or the local one of Rush 2015"
    )
    smoothing: int = Field(
        2, ge=0, description="encoder=rush: positions averaged on either side (Q; Rush 2015 has 2)"
    )


# What each budget means for each summarization data set. Chosen on validation data.


def probe_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """The probe: 7 to 19 core-seconds a cell under `laptop`, testing included."""
    if budget == "smoke":
        return {**SMOKE, "max_length": 12}
    if budget == "gpu":
        return {"steps": 4000, "dropout": 0.1, **PUBLISHED[family(placement)]}
    base = {
        "steps": 450,
        "batch_units": 160,
        "hidden": 64,
        "embedding": 64,
        "dropout": 0.0,
        "validations": 5,
        "learning_rate": 1.5e-2,
        "max_length": 24,
    }
    if family(placement) == "recurrent":
        return base
    deep = {**base, "encoder_layers": 2, "decoder_layers": 2}
    if placement == "convolutional":
        # Two layers of width 5 see a whole sentence from its adverb.
        convolutions = {"steps": 240, "batch_units": 250, "kernel": 5, "learning_rate": 5e-3}
        return {**deep, **convolutions}
    return {**deep, "hidden": 96, "feed_forward": 192, "learning_rate": 3e-3}


def news_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """Real news: subwords, smoothing, dropout; about 10 core-minutes under `laptop`."""
    text = {
        "tokens": "bpe",
        "vocabulary": 5000,
        "joint_vocabulary": True,
        "label_smoothing": 0.1,
        "dropout": 0.3,
    }
    if budget == "smoke":
        return {**SMOKE, "tokens": "bpe", "vocabulary": 400, "max_length": 12}
    if budget == "gpu":
        return {**text, "steps": 20000, "validations": 20, **PUBLISHED[family(placement)]}
    base = {
        **text,
        "steps": 1200,
        "batch_units": 800,
        "source_units": 3200,
        "validations": 8,
        "hidden": 256,
        "embedding": 256,
        "learning_rate": 3e-3,
        "max_length": 40,
    }
    if family(placement) == "recurrent":
        return base
    return {**base, "encoder_layers": 3, "decoder_layers": 3, "learning_rate": 2e-3}

"""Settings of summarization: those of all tasks on text, and Rush's encoder."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.settings import TextSettings


class SummarySettings(TextSettings):
    """Adds the choice of the encoder."""

    encoder: Literal["family", "rush"] = Field(
        "family", description="that of the attention's family, or the local one of Rush 2015"
    )
    smoothing: int = Field(
        2, ge=0, description="encoder=rush: positions averaged on either side (Q; Rush 2015 has 2)"
    )

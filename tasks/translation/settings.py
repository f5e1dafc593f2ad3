"""Settings of translation: those of every task, and how text is cut into tokens."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.settings import Settings


class TranslationSettings(Settings):
    """Adds the vocabulary."""

    tokens: Literal["word", "bpe"] = Field("word", description="words, or byte-pair encoding")
    vocabulary: int = Field(
        0, ge=0, description="largest vocabulary of each side; 0 keeps every word (not for bpe)"
    )
    eval_units: int = Field(
        4000, ge=1, description="source units a batch holds at most when testing"
    )

"""Settings of the tasks that turn text into text: how it is cut into tokens, how much at once."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.settings import Settings


class TextSettings(Settings):
    """Adds the vocabulary and bounds on source units."""

    tokens: Literal["word", "bpe"] = Field("word", description="words, or byte-pair encoding")
    vocabulary: int = Field(
        0, ge=0, description="largest vocabulary of each side; 0 keeps every word (not for bpe)"
    )
    joint_vocabulary: bool = Field(
        False, description="both sides share one vocabulary and one table of embeddings"
    )
    source_units: int = Field(
        0, ge=0, description="source units a batch holds at most in training; 0 is any number"
    )
    eval_units: int = Field(
        4000, ge=1, description="source units a batch holds at most when testing"
    )

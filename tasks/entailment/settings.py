"""Settings of entailment: those of every task, the head, and the vocabulary."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.settings import Settings


class EntailmentSettings(Settings):
    """Adds how classes are made of what was read, and which words have embeddings."""

    head: Literal["compare", "last"] = Field(
        "compare",
        description="compare: every hypothesis word with what it attends to; last: the last state"
        " only, as in Rocktaschel 2016",
    )
    least_count: int = Field(
        2, ge=1, description="words that training has less often are unknown words"
    )
    unknown_embeddings: int = Field(
        100,
        ge=1,
        description="embeddings that unknown words share, chosen by a hash of the word, so that"
        " the same unknown word is the same on both sides (Parikh 2016)",
    )
    segments: Literal["clauses", "chunks"] = Field(
        "chunks",
        description="what 'hierarchical' takes for segments: clauses between commas, or chunks of"
        " segment_size words",
    )
    eval_units: int = Field(
        4000, ge=1, description="premise words a batch holds at most when testing"
    )

"""Settings of entailment: those of every task, the head, and the vocabulary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tasks.budgets_old import PUBLISHED, SMOKE, Family, family
from tasks.settings import Settings

if TYPE_CHECKING:
    from bench.attention.base import Placement


class EntailmentSettings(Settings):
    """Adds how classes are made of what was read, and which words have embeddings."""

    head: Literal["compare", "last"] = Field(
        "compare",
        description="compare: every hypothesis word with what it attends to; last: the last state"
        " only, as in Rocktaschel 2016",
    )
    compare_words: bool = Field(
        True,
        description="head=compare: the embeddings of both sides' words are compared as well, each"
        " with the average that the attention links it to (none: with the mean of all)",
    )
    word_vectors: Literal["learned", "fixed"] = Field(
        "learned",
        description="learned: from chance, for words that training has often enough; fixed: by a"
        " word's spelling for every word, and a slowly learned part",
    )
    spelling: float = Field(
        0.3,
        ge=0,
        le=1,
        description="word_vectors=fixed: share of a vector that words with like spelling share",
    )
    word_rate: float = Field(
        0.1, ge=0, le=1, description="word_vectors=fixed: how fast the learned part moves; 0 not"
    )
    word_scale: float = Field(
        1.0, gt=0, description="word_vectors=fixed: length of a word's fixed vector"
    )
    residual: bool = Field(
        False,
        description="recurrent models: a word's embedding is added to the state it gives, on both"
        " sides, so that attention can tell the same word (others always have it)",
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


# What each budget means for each entailment data set. Chosen on validation data.


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

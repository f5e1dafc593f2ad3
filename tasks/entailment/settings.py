"""Settings of entailment: those of every task, the reader and its head, and the vocabulary."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tasks.settings import Settings


class EntailmentSettings(Settings):
    """Adds the classifier and the vocabulary."""

    chooses_recipe: ClassVar[tuple[str, ...]] = ("reader",)

    reader: Literal["decoder", "decomposable", "esim"] = Field(
        "decoder",
        description="decoder: the hypothesis is read word by word with attention; decomposable"
        " (Parikh 2016) and esim (Chen 2017): both texts are aligned at once, by global's score",
    )
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
        0.1,
        ge=0,
        le=1,
        description="word_vectors=fixed: learning rate of the learned part, relative; 0 freezes it",
    )
    word_scale: float = Field(
        1.0, gt=0, description="word_vectors=fixed: length of a word's fixed vector"
    )
    residual: bool = Field(
        False,
        description="recurrent models: a word's embedding is added to the state it gives, on both"
        " sides, so that attention can tell the same word (other models always add it)",
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
    eval_batch_tokens: int = Field(
        4000, ge=1, description="premise words a batch holds at most when testing"
    )

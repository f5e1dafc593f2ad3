"""Baselines that copy the beginning of a document: hard to pass on news, whose leads say it all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.summarization.corpus import Document, SummaryCorpus
from tasks.summarization.metrics import HEADLINE, rouge

#: Numbers of words tried on the validation data.
LENGTHS = range(4, 41, 2)
# Choosing a number of words needs no more documents than this.
_CHOOSE_ON = 300


@dataclass(frozen=True)
class Control:
    """What a baseline writes.

    Attributes:
        name: "first 10 words", ...
        predictions: by test set, the words of every summary.
    """

    name: str
    predictions: Mapping[str, Sequence[Sequence[str]]]


def controls(corpus: SummaryCorpus) -> tuple[Control, ...]:
    """The baselines on all test sets.

    - the first N words, N chosen for the best ROUGE-L on the validation data;
    - as many first words as the reference has: what knowing the right length adds.
    """
    count = best_length(corpus.validation[:_CHOOSE_ON])
    return (
        Control(
            f"first {count} words",
            {
                name: [first_words(one, count) for one in part]
                for name, part in corpus.tests.items()
            },
        ),
        Control(
            "first words, as many as the reference",
            {
                name: [first_words(one, len(one.summary)) for one in part]
                for name, part in corpus.tests.items()
            },
        ),
    )


def first_words(document: Document, count: int) -> tuple[str, ...]:
    """The first words of a document."""
    return document.words[:count]


def best_length(documents: Sequence[Document]) -> int:
    """The number of first words that gives the best mean ROUGE-L; of several, the smallest."""
    references = [document.summary_text for document in documents]
    texts = [document.words for document in documents]

    def figure(count: int) -> float:
        predictions = [" ".join(words[:count]) for words in texts]
        return float(rouge(predictions, references)[:, HEADLINE].mean())

    return max(LENGTHS, key=figure)

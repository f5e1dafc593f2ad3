"""Baselines that copy the beginning of a document: hard to pass on news, whose leads say it all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.data.cache import cached_json, digest
from tasks.evaluation.scoring import prefixed
from tasks.summarization.datasets import Document, SummaryCorpus, Words
from tasks.summarization.evaluate import COLUMN, ROUGE, rouge, signature

#: Numbers of words tried on the validation data.
LENGTHS = range(4, 41, 2)
# Choosing a number of words needs no more documents than this.
_CHOOSE_ON = 300
# Raised when the same documents would give other figures than before.
_VERSION = 2


@dataclass(frozen=True)
class Baseline:
    """What a baseline writes.

    Attributes:
        key: short name, for metrics.
        name: "first 10 words", ...
        predictions: by test set, the words of every summary.
    """

    key: str
    name: str
    predictions: Mapping[str, Sequence[Sequence[str]]]


def baselines(corpus: SummaryCorpus) -> tuple[Baseline, ...]:
    """The baselines on all test sets.

    - the first N words, N chosen for the best ROUGE-L on the validation data;
    - as many first words as the reference has: what knowing the right length adds.
    """
    count = best_length(corpus.validation[:_CHOOSE_ON])

    def first(length: Callable[[Document], int]) -> dict[str, list[Words]]:
        return {
            name: [first_words(document, length(document)) for document in part]
            for name, part in corpus.tests.items()
        }

    return (
        Baseline("lead", f"first {count} words", first(lambda document: count)),
        Baseline(
            "lead_of_right_length",
            "first words, as many as the reference",
            first(lambda document: len(document.summary)),
        ),
    )


def figures(corpus: SummaryCorpus, cache: Path) -> dict[str, float]:
    """ROUGE of the baselines as metrics of a trial: `baseline_<key>_<figure>`, with the test set's
    name in front of all but the first. Kept in the cache, since all trials share them.

    Raises UsageError: the cache cannot be written.
    """
    key = digest("lead baselines", _VERSION, signature(), corpus.fingerprint)
    found: dict[str, float] = cached_json(cache / "baselines", key, lambda: _figures(corpus))
    return found


def _figures(corpus: SummaryCorpus) -> dict[str, float]:
    references = {
        name: [document.summary_text for document in part] for name, part in corpus.tests.items()
    }
    found: dict[str, float] = {}
    for one in baselines(corpus):
        means = {
            subset: rouge(list(map(" ".join, texts)), references[subset]).mean(axis=0).tolist()
            for subset, texts in one.predictions.items()
        }
        names = [f"baseline_{one.key}_{name}" for name in ROUGE]
        found |= prefixed({name: dict(zip(names, row, strict=True)) for name, row in means.items()})
    return found


def first_words(document: Document, count: int) -> Words:
    """The first words of a document."""
    return document.words[:count]


def best_length(documents: Sequence[Document]) -> int:
    """The number of first words that gives the best mean ROUGE-L; of several, the smallest."""
    references = [document.summary_text for document in documents]
    texts = [document.words for document in documents]

    def figure(count: int) -> float:
        predictions = [" ".join(words[:count]) for words in texts]
        return float(rouge(predictions, references)[:, COLUMN].mean())

    return max(LENGTHS, key=figure)

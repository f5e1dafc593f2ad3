"""Scoring of summaries: ROUGE as rouge-score computes it, with intervals, and how much of a summary
is the writer's own.

ROUGE-1, -2 and -L are F1 values per example (Lin 2004), averaged over examples; rouge-score
lower-cases, keeps letters and digits only, and here stems with Porter's stemmer, as published
figures on news mostly do. All figures are fractions.

rouge-score by itself keeps no letter but a to z. Here words of all scripts are kept, by the same
rule: runs of letters and digits with their marks, and in scripts without blanks every letter.
Only words of a to z are stemmed. On plain ASCII figures are rouge-score's; where references have
other letters the signature says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import numpy as np
import regex

from tasks.data.tokenizer import words
from tasks.data.unicode import EXTENDS, UNSPACED, composed, lowered
from tasks.evaluation.bootstrap import bootstrap, ratio
from tasks.evaluation.scoring import Scores
from tasks.evaluation.text import TextScorer, WordPair, ngrams
from tasks.settings import TextSettings
from tasks.summarization.datasets import Document, Words

#: Figures by our names, and rouge-score's.
ROUGE = {"rouge_1": "rouge1", "rouge_2": "rouge2", "rouge_l": "rougeL"}
HEADLINE = "rouge_l"
#: The headline figure's column in what `rouge` gives.
COLUMN = list(ROUGE).index(HEADLINE)
# Novelty is measured on n-grams up to this length.
ORDER = 3
# A letter or digit and those that follow, with their marks and joiners; in scripts without blanks
# a single letter.
_WORD = regex.compile(
    rf"[[\p{{L}}\p{{N}}]--{UNSPACED}][[\p{{L}}\p{{N}}\p{{M}}\u200c\u200d]--{UNSPACED}]*+"
    rf"|{UNSPACED}{EXTENDS}*+",
    regex.V1,
)
_BEYOND_ASCII = regex.compile(r"[[\p{L}\p{N}]--[\x00-\x7f]]", regex.V1)


class SummaryScorer(TextScorer[Document]):
    """ROUGE with intervals, and how much of the summaries is the writer's own."""

    def word_pair(self, document: Document) -> WordPair:
        return WordPair(
            document.id,
            document.source_text,
            document.summary_text,
            document.words,
            document.summary,
            document.links,
            document.segments,
        )

    def score_texts(
        self, texts: Sequence[str], pairs: Sequence[WordPair], settings: TextSettings
    ) -> Scores:
        scores = score(texts, [pair.target_text for pair in pairs])
        own = own_words(
            [words(composed(text)) for text in texts],
            [pair.target for pair in pairs],
            [pair.source for pair in pairs],
        )
        return replace(scores, metrics={**scores.metrics, **own})


def score(texts: Sequence[str], references: Sequence[str]) -> Scores:
    """ROUGE of texts against one reference each: the figures of `ROUGE`, with `_low` and `_high`
    (95 %). An example's figure is its ROUGE-L."""
    assert len(texts) == len(references) > 0
    examples = rouge(texts, references)  # N,3
    intervals = {
        name: bootstrap(_with_counts(column), ratio)
        for name, column in zip(ROUGE, examples.T, strict=True)
    }
    metrics: dict[str, float] = {}
    for name, interval in intervals.items():
        metrics |= {
            name: interval.value,
            f"{name}_low": interval.low,
            f"{name}_high": interval.high,
        }
    return Scores(
        name=HEADLINE,
        interval=intervals[HEADLINE],
        metrics=metrics,
        statistics=_with_counts(examples[:, COLUMN]),
        figure=ratio,
        examples=examples[:, COLUMN],
        signatures={"rouge": signature(references)},
        notes=tuple(_notes(references)),
    )


def rouge(predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """F1 of ROUGE-1, -2 and -L per example: N,3 in the order of `ROUGE`."""
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(ROUGE.values()), tokenizer=_tokenizer())
    rows = []
    for prediction, reference in zip(predictions, references, strict=True):
        scores = scorer.score(reference, prediction)
        rows.append([scores[name].fmeasure for name in ROUGE.values()])
    return np.asarray(rows, dtype=np.float64).reshape(-1, len(ROUGE))


# One for the process: a warm worker scores the same references for many cells.
@cache
def _tokenizer() -> Any:
    """rouge-score's own on ASCII, and the same rule on letters of all scripts. A word is stemmed
    once: stemming takes most of the time of a figure, and the same words come again and again."""
    from rouge_score.tokenize import tokenize
    from rouge_score.tokenizers import porter

    stemmer = SimpleNamespace(stem=lru_cache(maxsize=2**16)(porter.PorterStemmer().stem))

    def tokens(text: str) -> list[str]:
        if text.isascii():
            found: list[str] = tokenize(text, stemmer)
            return found
        return [
            stemmer.stem(word) if len(word) > 3 and word.isascii() else word
            for word in _WORD.findall(lowered(text))
        ]

    return SimpleNamespace(tokenize=tokens)


def signature(references: Sequence[str] = ()) -> str:
    """What the figures depend on besides the texts."""
    unicode = "|words:unicode" if any(map(_BEYOND_ASCII.search, references)) else ""
    return f"rouge-score {version('rouge-score')}|f1|stemmer:porter{unicode}|mean over examples"


def _notes(references: Sequence[str]) -> Iterator[str]:
    empty = sum(not _tokenizer().tokenize(text) for text in references)
    if empty:
        yield f"{empty} references have no letter or digit, so their ROUGE is 0"


def own_words(
    predictions: Sequence[Words], references: Sequence[Words], sources: Sequence[Words]
) -> dict[str, float]:
    """How summaries relate to their sources and references; words are compared as they stand.

    copy_rate: share of the words written that stand in the source.
    novelty_<n>: share of the n-grams written that do not, n = 2 and 3 (See et al. 2017).
    length_ratio: words written over words of the references.
    The same of the references themselves: reference_copy_rate, reference_novelty_<n>.

    Args:
        predictions, references, sources: the words of each.
    """
    written, wanted = sum(map(len, predictions)), sum(map(len, references))
    found = {"length_ratio": written / wanted if wanted else 0.0}
    for prefix, summaries in (("", predictions), ("reference_", references)):
        counts = _novel_counts(summaries, sources)  # ORDER,2
        shares = ratio(counts)
        found[f"{prefix}copy_rate"] = float(1 - shares[0]) if counts[0, 1] else 0.0
        for order, share in enumerate(shares[1:], start=2):
            found[f"{prefix}novelty_{order}"] = float(share)
    return found


def _novel_counts(summaries: Sequence[Words], sources: Sequence[Words]) -> np.ndarray:
    """ORDER,2: n-grams that do not stand in the source, and all n-grams, by n."""
    counts = np.zeros((ORDER, 2))
    for summary, source in zip(summaries, sources, strict=True):
        for order in range(1, ORDER + 1):
            there = set(ngrams(source, order))
            grams = ngrams(summary, order)
            counts[order - 1] += sum(gram not in there for gram in grams), len(grams)
    return counts


def _with_counts(values: np.ndarray) -> np.ndarray:
    return np.stack([values, np.ones_like(values)], axis=1)

"""How summaries are scored."""

from __future__ import annotations

from collections.abc import Sequence

from tasks.intervals import ratio
from tasks.summarization.corpus import Document
from tasks.summarization.metrics import COLUMN, HEADLINE, own_words, score, signature
from tasks.text.words import words
from tasks.text_to_text.attended import WordPair
from tasks.text_to_text.testing import Scored, Scoring


def word_pair(document: Document) -> WordPair:
    """A document and its summary as testing sees them."""
    return WordPair(
        document.id,
        document.source_text,
        document.summary_text,
        document.words,
        document.summary,
        document.links,
        document.segments,
    )


def score_texts(predictions: Sequence[str], pairs: Sequence[WordPair]) -> Scored:
    """ROUGE with intervals, and how much of the summaries is the writer's own."""
    scores = score(predictions, [pair.target_text for pair in pairs])
    own = own_words(
        [words(text) for text in predictions],
        [pair.target for pair in pairs],
        [pair.source for pair in pairs],
    )
    return Scored(
        headline=scores.headline,
        figures={**scores.figures(), **own},
        statistics=scores.statistics,
        examples=scores.examples[:, COLUMN],
        signatures={"rouge": signature()},
    )


SCORING = Scoring(HEADLINE, ratio, score_texts)

"""How translations are scored."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tasks.text_to_text.attended import WordPair
from tasks.text_to_text.testing import Scored, Scoring
from tasks.translation.corpus import Pair
from tasks.translation.metrics import bleu, score


def word_pair(pair: Pair) -> WordPair:
    """A pair as testing sees it."""
    return WordPair(
        pair.id, pair.source_text, pair.target_text, pair.source, pair.target, pair.links
    )


def score_texts(predictions: Sequence[str], pairs: Sequence[WordPair]) -> Scored:
    """BLEU, chrF, and the share of translations that are the reference to the letter."""
    references = [pair.target_text for pair in pairs]
    scores = score(predictions, references)
    exact = np.mean([one == other for one, other in zip(predictions, references, strict=True)])
    return Scored(
        headline=scores.bleu,
        figures={"bleu": scores.bleu.value, "chrf": scores.chrf, "exact": float(exact)},
        statistics=scores.statistics,
        examples=scores.sentence_chrf,
        signatures=scores.signatures,
    )


SCORING = Scoring("bleu", bleu, score_texts)

"""How translations are scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from tasks.evaluation.alignment_text import WordPair
from tasks.evaluation.bootstrap import Interval, bootstrap
from tasks.evaluation.scoring import Scored, Scoring
from tasks.translation.datasets import Pair

# BLEU and chrF as sacrebleu computes them, with intervals.
#
# BLEU's counts are additive over sentences (Papineni et al. 2002), so the corpus figure of any
# resample or length bin is computed from summed counts; it equals sacrebleu's to the last digit
# that floating point allows. chrF after Popovic (2015).

ORDER = 4


@dataclass(frozen=True)
class Scores:
    """Figures of one test set; BLEU and chrF run to 100.

    Attributes:
        statistics: N,10 per sentence: system length, reference length, matches and totals of
            1- to 4-grams.
        sentence_chrf: N.
        signatures: sacrebleu's, by figure.
    """

    bleu: Interval
    chrf: float
    statistics: np.ndarray
    sentence_chrf: np.ndarray
    signatures: dict[str, str]


def score(predictions: Sequence[str], references: Sequence[str]) -> Scores:
    """Score plain, cased, detokenised text against one reference each."""
    assert len(predictions) == len(references) > 0
    chrf = CHRF()
    statistics = bleu_statistics(predictions, references)
    sentences = [
        chrf.sentence_score(prediction, [reference]).score
        for prediction, reference in zip(predictions, references, strict=True)
    ]
    corpus_chrf = chrf.corpus_score(predictions, [references]).score
    return Scores(
        bleu=bootstrap(statistics, bleu),
        chrf=corpus_chrf,
        statistics=statistics,
        sentence_chrf=np.asarray(sentences),
        signatures={"bleu": _bleu_signature(), "chrf": chrf.get_signature().format()},
    )


def bleu_statistics(predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """N,10 counts per sentence; their sums over any sentences give that corpus's BLEU."""
    metric = BLEU(effective_order=True)  # of no influence on counts, silences a warning
    rows = []
    for prediction, reference in zip(predictions, references, strict=True):
        counts = metric.sentence_score(prediction, [reference])
        rows.append([counts.sys_len, counts.ref_len, *counts.counts, *counts.totals])
    return np.asarray(rows, dtype=np.float64).reshape(-1, 2 + 2 * ORDER)


def bleu(sums: np.ndarray) -> np.ndarray:
    """BLEU (0 to 100) of summed counts ...,10, with sacrebleu's default smoothing ("exp":
    the k-th order without a match counts as 1/2^k of a match)."""
    system, reference = sums[..., 0], sums[..., 1]
    matches, totals = sums[..., 2 : 2 + ORDER], sums[..., 2 + ORDER :]
    with np.errstate(divide="ignore", invalid="ignore"):
        penalty = np.where(system < reference, np.exp(1 - reference / system), 1.0)
        smoothed = np.where(matches > 0, matches, 0.5 ** np.cumsum(matches == 0, axis=-1))
        value = penalty * np.exp(np.log(100.0 * smoothed / totals).mean(axis=-1))
    # Without any match, or with no 4-gram at all, there is nothing to smooth.
    defined = (matches.sum(axis=-1) > 0) & (totals > 0).all(axis=-1)
    return np.where(defined, value, 0.0)


def _bleu_signature() -> str:
    metric = BLEU()
    metric.corpus_score(["."], [["."]])  # the signature names the number of references seen
    return metric.get_signature().format()


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

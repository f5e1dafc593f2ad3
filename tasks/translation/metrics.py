"""BLEU and chrF, equal to sacrebleu's, with intervals.

sacrebleu cuts the tokens and names the signatures. N-grams are counted here, for all sentences at
once: it counts sentence by sentence, and again for the corpus.

BLEU's counts are additive over sentences (Papineni et al. 2002), so the corpus figure of any
resample or length bin is computed from summed counts; it equals sacrebleu's to the last digit
that floating point allows. chrF after Popovic (2015).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from tasks.intervals import Interval, bootstrap
from tasks.text.ngrams import overlap

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
    statistics = bleu_statistics(predictions, references)
    characters = chrf_statistics(predictions, references)
    return Scores(
        bleu=bootstrap(statistics, bleu),
        chrf=float(chrf(characters.sum(axis=0))),
        statistics=statistics,
        sentence_chrf=chrf(characters),
        signatures={"bleu": _signature(BLEU()), "chrf": _signature(CHRF())},
    )


def bleu_statistics(predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """N,10 counts per sentence; their sums over any sentences give that corpus's BLEU."""
    tokenise = BLEU().tokenizer
    written, wanted = (
        [tokenise(text.rstrip()).split() for text in side] for side in (predictions, references)
    )
    found = overlap(written, wanted, ORDER)
    lengths = np.array([list(map(len, written)), list(map(len, wanted))]).T  # N,2
    counts = np.concatenate([lengths, found.matches, found.totals], axis=1)
    return counts.astype(np.float64)


def chrf_statistics(predictions: Sequence[str], references: Sequence[str]) -> np.ndarray:
    """N,3,6 per sentence: n-grams of 1 to 6 characters, blanks left out, of the prediction, of the
    reference, and of both; their sums over any sentences give that corpus's chrF."""
    written, wanted = (
        ["".join(text.split()) for text in side] for side in (predictions, references)
    )
    found = overlap(written, wanted, CHRF.CHAR_ORDER)
    # An order that the reference is too short for does not count.
    totals = np.where(found.reference_totals > 0, found.totals, 0)
    return np.stack([totals, found.reference_totals, found.matches], axis=1)


def chrf(sums: np.ndarray) -> np.ndarray:
    """chrF (0 to 100) of summed counts ...,3,6, as sacrebleu averages: precision and recall over
    the orders that both sides have."""
    written, wanted, both = sums[..., 0, :], sums[..., 1, :], sums[..., 2, :]
    counted = (written > 0) & (wanted > 0)
    orders = np.maximum(counted.sum(axis=-1), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        # Added up in order, as sacrebleu does: equal to the last bit.
        precision = np.where(counted, both / written, 0.0).cumsum(axis=-1)[..., -1] / orders
        recall = np.where(counted, both / wanted, 0.0).cumsum(axis=-1)[..., -1] / orders
        factor = CHRF.BETA**2
        score = (1 + factor) * precision * recall / (factor * precision + recall)
    return np.where(precision + recall > 0, 100 * score, 0.0)


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


def _signature(metric: BLEU | CHRF) -> str:
    metric.corpus_score(["."], [["."]])  # the signature names the number of references seen
    return metric.get_signature().format()

"""BLEU as a function of counts that add up over sentences. Imports neither torch nor Lightning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sacrebleu.metrics.bleu import BLEU

from tasks.evaluation.bootstrap import Extremes

#: BLEU counts n-grams of up to so many tokens.
ORDER = 4


def bleu_statistics(
    predictions: Sequence[str], references: Sequence[str], tokenizer: str = "13a"
) -> np.ndarray:
    """N,10 counts per sentence: lengths of output and reference, matches and totals of 1- to
    4-grams. Their sums over any sentences give that corpus's BLEU."""
    metric = BLEU(
        tokenize=tokenizer, effective_order=True
    )  # of no influence on counts, silences a warning
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


def _ngram_f1(statistics: np.ndarray) -> np.ndarray:
    """F1 of each sentence's 1- to 4-grams together, N,10 -> N: 1 for the reference's own n-grams,
    0 without any match. (BLEU of single sentences is 0 for the shortest ones, right or not.)"""
    matches, totals = statistics[:, 2 : 2 + ORDER], statistics[:, 2 + ORDER :]
    of_both = totals.sum(axis=1) + _totals(statistics[:, 1]).sum(axis=1)
    return 2 * matches.sum(axis=1) / np.maximum(of_both, 1.0)


def _ends(mean: np.ndarray) -> np.ndarray:
    """The counts of an average sentence without any match, and of its reference: 10 -> 2,10."""
    worst, length = mean.copy(), mean[1]
    worst[2 : 2 + ORDER] = 0.0
    totals = _totals(length)
    return np.stack([worst, np.concatenate([[length, length], totals, totals])])


def _totals(lengths: np.ndarray) -> np.ndarray:
    """The numbers of 1- to 4-grams of sentences of these lengths, ... -> ...,4."""
    return np.maximum(lengths[..., None] - np.arange(ORDER), 0.0)


EXTREMES = Extremes(_ngram_f1, _ends)

"""CIDEr, BLEU and ROUGE-L as pycocoevalcap computes them, over all references, with intervals.

Captions are tokenised first (`tasks.captioning.tokens`). CIDEr (Vedantam et al. 2015; CIDEr-D as
in the COCO evaluation) is a mean over pictures, BLEU (Papineni et al. 2002) a function of counts
that add up over pictures: both are resampled without scoring a caption twice. Document frequencies
of CIDEr are those of the whole test set, also in resamples and length bins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from tasks.captioning.meteor import meteor
from tasks.captioning.tokens import normalised
from tasks.intervals import Interval, bootstrap, mean

ORDER = 4
# pycocoevalcap's guards against empty sums.
_TINY, _SMALL = 1e-15, 1e-9

SIGNATURE = "pycocoevalcap 1.2, PTB-like tokens in lower case without punctuation"


@dataclass(frozen=True)
class CaptionScores:
    """Figures of N captions.

    Attributes:
        cider: N, CIDEr-D of each picture, 0 to 10; the test set's figure is their mean.
        bleu: N,10: tokens, length of the closest reference, matches and totals of 1- to 4-grams.
        rouge_l: N, fractions.
        meteor: of the test set and of each picture, or None.
        distinct: number of different captions.
        notes: why a figure is missing.
    """

    cider: np.ndarray
    bleu: np.ndarray
    rouge_l: np.ndarray
    distinct: int
    meteor: tuple[float, np.ndarray] | None = None
    notes: tuple[str, ...] = ()

    @property
    def cider_statistics(self) -> np.ndarray:
        """N,2 for `tasks.intervals` with the figure `mean`."""
        return np.stack([self.cider, np.ones_like(self.cider)], axis=1)

    def cider_interval(self) -> Interval:
        return bootstrap(self.cider_statistics, mean)

    def metrics(self) -> dict[str, float]:
        """The figures by name: `cider`; `bleu_1` to `bleu_4` (0 to 100); `rouge_l`, `meteor`
        (fractions); `distinct_captions`."""
        sums = self.bleu.sum(axis=0)
        figures = {
            "cider": float(self.cider.mean()),
            **{f"bleu_{order}": float(bleu(sums, order)) for order in range(1, ORDER + 1)},
            "rouge_l": float(self.rouge_l.mean()),
            "distinct_captions": float(self.distinct),
        }
        if self.meteor is not None:
            figures["meteor"] = self.meteor[0]
        return figures


def score(
    predictions: Sequence[str],
    references: Sequence[Sequence[str]],
    *,
    with_meteor: bool = False,
) -> CaptionScores:
    """Score one caption a picture against all its references.

    Args:
        predictions: N texts; may be empty.
        references: N times one text or more.
        with_meteor: ask Java for METEOR; without it the scores carry a note.
    """
    assert len(predictions) == len(references) > 0
    found = [normalised(text) for text in predictions]
    known = [[normalised(text) for text in texts] for texts in references]
    extra = meteor(found, known) if with_meteor else None
    return CaptionScores(
        cider=_cider(found, known),
        bleu=_bleu_statistics(found, known),
        rouge_l=_rouge_l(found, known),
        distinct=len(set(found)),
        meteor=None if isinstance(extra, str) else extra,
        notes=(extra,) if isinstance(extra, str) else (),
    )


def bleu(sums: np.ndarray, order: int = ORDER) -> np.ndarray:
    """BLEU-`order` (0 to 100) of summed counts ...,10: a figure for `tasks.intervals`."""
    tokens, closest = sums[..., 0], sums[..., 1]
    matches, totals = sums[..., 2 : 2 + order], sums[..., 2 + ORDER : 2 + ORDER + order]
    precision = np.prod((matches + _TINY) / (totals + _SMALL), axis=-1) ** (1.0 / order)
    ratio = (tokens + _TINY) / (closest + _SMALL)
    with np.errstate(over="ignore"):
        return 100.0 * precision * np.exp(np.minimum(0.0, 1.0 - 1.0 / ratio))


def shuffled(captions: Sequence[str], seed: int = 0) -> list[str]:
    """The captions dealt to other pictures, none keeps its own place: what a model's captions are
    worth when they do not belong to the picture. A single caption stays."""
    order = np.random.default_rng(seed).permutation(len(captions))
    dealt = [""] * len(captions)
    for place, source in zip(order, np.roll(order, 1), strict=True):
        dealt[place] = captions[source]
    return dealt


def _cider(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    from pycocoevalcap.cider.cider_scorer import CiderScorer

    scorer = CiderScorer(n=ORDER, sigma=6.0)
    for prediction, texts in zip(predictions, references, strict=True):
        scorer += (prediction, texts)
    return np.asarray(scorer.compute_score()[1])


def _bleu_statistics(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """N,10: tokens, closest reference's tokens, matches and totals by order."""
    from pycocoevalcap.bleu.bleu_scorer import BleuScorer

    scorer = BleuScorer(n=ORDER)
    for prediction, texts in zip(predictions, references, strict=True):
        scorer += (prediction, texts)
    rows = []
    for counts in scorer.ctest:
        tokens = counts["testlen"]
        _, closest = min((abs(length - tokens), length) for length in counts["reflen"])
        rows.append([tokens, closest, *counts["correct"], *counts["guess"]])
    return np.asarray(rows, dtype=np.float64)


def _rouge_l(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    from pycocoevalcap.rouge.rouge import Rouge

    each: Callable[[list[str], Sequence[str]], float] = Rouge().calc_score
    return np.array(
        [each([text], texts) for text, texts in zip(predictions, references, strict=True)]
    )

"""Captioning: sentences against all sentences that people wrote of the picture."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from reports.leaderboard.judging import Judge, Scored, Wanted, judges
from tasks.base import Prediction, TaskData
from tasks.captioning.data import CaptioningData
from tasks.captioning.metrics import SIGNATURE, CaptionScores, score
from tasks.evaluation.bootstrap import mean

#: Figures of the controls that results have, by control.
_OF_CONTROLS = ("cider", "bleu_4")


@dataclass(frozen=True)
class ScoredCaptions(Scored):
    """With what rows say of themselves besides CIDEr."""

    scores: CaptionScores | None = None


@judges.register("captioning")
class Captioning(Judge):
    """CIDEr, BLEU, ROUGE-L. Perplexity is over all references of a picture, and rows have the
    likelihood of one; METEOR needs Java."""

    stated: ClassVar[frozenset[str]] = frozenset({"perplexity", "meteor"})

    @classmethod
    def wanted(cls, data: TaskData) -> Mapping[str, Sequence[Wanted]]:
        return {
            subset: [
                Wanted(picture.id, picture.id, picture.references, picture.length)
                for picture in split.pictures
            ]
            for subset, split in _captions(data).tests.items()
        }

    @classmethod
    def score(cls, data: TaskData, subset: str, rows: Sequence[Prediction]) -> Scored:
        pictures = _captions(data).tests[subset].pictures
        scores = score([row.prediction for row in rows], [one.references for one in pictures])
        right = [
            row.prediction in picture.references
            for row, picture in zip(rows, pictures, strict=True)
        ]
        return ScoredCaptions(
            name="cider",
            headline=scores.cider_interval(),
            figures={**scores.metrics(), "exact": float(np.mean(right))},
            statistics=scores.cider_statistics,
            figure=mean,
            examples=scores.cider,
            signatures={"captions": SIGNATURE},
            scores=scores,
        )

    @classmethod
    def controls(cls, data: TaskData, subset: str) -> Mapping[str, float]:
        held = _captions(data).controls[subset]
        kinds = {"constant": held.constant, "shuffled": held.shuffled, "human": held.human}
        return {
            f"control_{kind}_{name}": figures[name]
            for kind, figures in kinds.items()
            for name in _OF_CONTROLS
            if name in figures
        }

    @classmethod
    def doubts(cls, row: Prediction, subset: str, place: int, scored: Scored) -> Iterator[str]:
        assert isinstance(scored, ScoredCaptions) and scored.scores is not None
        counts, rouge = scored.scores.bleu[place], float(scored.scores.rouge_l[place])
        if list(row.extra.get("bleu") or ()) != counts.tolist():
            yield "its counts for BLEU are not those of its caption"
        stated = row.extra.get("rouge_l")
        if not isinstance(stated, int | float) or abs(stated - rouge) > 1e-4:
            yield f"its ROUGE-L is {rouge:.4f}, not {stated}"


def _captions(data: TaskData) -> CaptioningData:
    assert isinstance(data, CaptioningData)
    return data

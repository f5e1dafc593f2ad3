"""Entailment: classes against labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from reports.leaderboard.judging import Judge, Scored, Wanted, judges
from tasks.base import Prediction, TaskData
from tasks.entailment.data import EntailmentData
from tasks.entailment.datasets import LABELS
from tasks.entailment.metrics import accuracy_interval, accuracy_statistics, figures
from tasks.evaluation.bootstrap import ratio

#: Rows have probabilities to four places.
_ROUNDING = 2e-4


@judges.register("entailment")
class Entailment(Judge):
    """Accuracy, F1, confusion."""

    @classmethod
    def wanted(cls, data: TaskData) -> Mapping[str, Sequence[Wanted]]:
        return {
            subset: [
                Wanted(
                    pair.id,
                    f"{' '.join(pair.premise)} | {' '.join(pair.hypothesis)}",
                    (str(pair.label),),
                    len(pair.premise),
                )
                for pair in split.pairs
            ]
            for subset, split in _pairs(data).tests.items()
        }

    @classmethod
    def score(cls, data: TaskData, subset: str, rows: Sequence[Prediction]) -> Scored:
        gold = _pairs(data).tests[subset].labels
        # What is no label at all is wrong whatever the label: the next class after the right one.
        known: dict[str, int] = {label: place for place, label in enumerate(LABELS)}
        chosen = [
            known.get(row.prediction, (int(right) + 1) % len(LABELS))
            for row, right in zip(rows, gold, strict=True)
        ]
        predicted = np.array(chosen, dtype=np.int64)
        statistics = accuracy_statistics(gold, predicted)
        return Scored(
            name="accuracy",
            headline=accuracy_interval(gold, predicted),
            figures=figures(gold, predicted),
            statistics=statistics,
            figure=ratio,
            examples=statistics[:, 0],
        )

    @classmethod
    def controls(cls, data: TaskData, subset: str) -> Mapping[str, float]:
        found = _pairs(data).controls[subset]
        return {f"control_{name.replace(' ', '_')}": value for name, value in found.items()}

    @classmethod
    def doubts(cls, row: Prediction, subset: str, place: int, scored: Scored) -> Iterator[str]:
        if row.prediction not in LABELS:
            yield f"{row.prediction!r} is not a label"
            return
        stated = row.extra.get("probabilities")
        if not isinstance(stated, Mapping) or set(stated) != set(LABELS):
            yield "it has no probability for every label"
        elif not all(isinstance(value, int | float) for value in stated.values()):
            yield "its probabilities are not numbers"
        elif stated[row.prediction] < max(stated.values()) - _ROUNDING:
            yield "its prediction is not the most probable label"


def _pairs(data: TaskData) -> EntailmentData:
    assert isinstance(data, EntailmentData)
    return data

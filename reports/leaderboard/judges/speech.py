"""Speech: phones, characters or words against what was said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np

from reports.leaderboard.judging import Judge, Scored, Wanted, judges, perplexity
from tasks.base import Prediction, TaskData
from tasks.evaluation.bootstrap import ratio
from tasks.speech.baselines import constant_rate, constant_transcript
from tasks.speech.data import SpeechData
from tasks.speech.datasets import Unit, Utterance, join_units
from tasks.speech.evaluate import TENTHS
from tasks.speech.metrics import score

#: How far from the right place a model looked: only its weights know.
_LOOKED = ("centre_ms", "peak_ms", "monotonicity", "mass_on_span")


@judges.register("speech")
class Speech(Judge):
    """Error rates."""

    higher_is_better: ClassVar[bool] = False
    stated: ClassVar[frozenset[str]] = frozenset(
        {*_LOOKED, "uniform_centre_ms", "diagonal_centre_ms"}
    )

    @classmethod
    def wanted(cls, data: TaskData) -> Mapping[str, Sequence[Wanted]]:
        unit = _speech(data).corpus.unit
        return {
            subset: [
                Wanted(one.id, _name(one), (join_units(one.units, unit),), _tenths(one))
                for one in split.utterances
            ]
            for subset, split in _speech(data).tests.items()
        }

    @classmethod
    def score(cls, data: TaskData, subset: str, rows: Sequence[Prediction]) -> Scored:
        unit, split = _speech(data).corpus.unit, _speech(data).tests[subset]
        written = [_units(row.prediction, unit) for row in rows]
        scores = score(written, [one.units for one in split.utterances], unit)
        units = int((split.targets.lengths + 1).sum())
        return Scored(
            name=scores.name,
            headline=scores.rate,
            figures={**scores.metrics, **perplexity(rows, units)},
            statistics=scores.edits.statistics,
            figure=ratio,
            examples=1.0 - scores.edits.errors / np.maximum(scores.edits.lengths, 1),
            rounded=frozenset({"perplexity"}),
        )

    @classmethod
    def controls(cls, data: TaskData, subset: str) -> Mapping[str, float]:
        constant = constant_transcript(_speech(data).corpus)
        rate = constant_rate(constant, _speech(data).tests[subset].utterances)
        return {"control_constant": rate}


def _speech(data: TaskData) -> SpeechData:
    assert isinstance(data, SpeechData)
    return data


def _name(utterance: Utterance) -> str:
    sound = utterance.sound
    return sound.name if isinstance(sound, Path) else utterance.id


def _tenths(utterance: Utterance) -> int:
    return int(np.rint(utterance.seconds * TENTHS))


def _units(text: str, unit: Unit) -> tuple[str, ...]:
    """The units of an output as it is kept: the inverse of `join_units`."""
    return tuple(text) if unit == "characters" else tuple(text.split())

"""What the judges of tasks that turn text into text have in common."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from reports.leaderboard.judging import Judge, Scored, Wanted, perplexity
from tasks.base import Prediction, TaskData
from tasks.data.text_pairs import TextData
from tasks.evaluation.alignment_text import WordPair
from tasks.evaluation.scoring import Scoring


class TextJudge(Judge):
    """A task says how its texts are scored, and how testing sees its examples."""

    scoring: ClassVar[Scoring]

    @classmethod
    @abstractmethod
    def view(cls, example: Any) -> WordPair:
        """An example as testing sees it."""

    @classmethod
    def wanted(cls, data: TaskData) -> Mapping[str, Sequence[Wanted]]:
        return {
            subset: [
                Wanted(pair.id, pair.source_text, (pair.target_text,), len(pair.source))
                for pair in cls._pairs(data, subset)
            ]
            for subset in _texts(data).tests
        }

    @classmethod
    def score(cls, data: TaskData, subset: str, rows: Sequence[Prediction]) -> Scored:
        scored = cls.scoring.score([row.prediction for row in rows], cls._pairs(data, subset))
        units = int((_texts(data).tests[subset].target.lengths + 1).sum())
        return Scored(
            name=cls.scoring.name,
            headline=scored.headline,
            figures={**scored.figures, **perplexity(rows, units)},
            statistics=scored.statistics,
            figure=cls.scoring.figure,
            examples=scored.examples,
            signatures=scored.signatures,
            rounded=frozenset({"perplexity"}),
        )

    @classmethod
    def controls(cls, data: TaskData, subset: str) -> Mapping[str, float]:
        found = _texts(data).controls()
        tests = list(_texts(data).tests)
        if subset != tests[0]:
            prefix = f"{subset}_"
            return {k.removeprefix(prefix): v for k, v in found.items() if k.startswith(prefix)}
        others = tuple(f"{name}_" for name in tests[1:])
        return {key: value for key, value in found.items() if not key.startswith(others)}

    @classmethod
    def _pairs(cls, data: TaskData, subset: str) -> list[WordPair]:
        return [cls.view(example) for example in _texts(data).tests[subset].examples]


def _texts(data: TaskData) -> TextData[Any]:
    assert isinstance(data, TextData)
    return data

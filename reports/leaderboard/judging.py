"""What a task's figures must be, worked out anew from outputs and references.

A judge knows one task: its test examples as the data set has them, and how outputs are scored.
It is given what a model wrote and nothing that the model's owner says about it.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from bench.registry import Registry
from bench.store.result import LengthBin, Primary
from tasks.base import Prediction, TaskData
from tasks.evaluation.bootstrap import Figure, Interval, by_length

#: Figures that are sums of rounded numbers agree only so far (relative).
ROUNDED = 1e-4


@dataclass(frozen=True)
class Wanted:
    """A test example as the data set has it; fields as in `tasks.base.Prediction`."""

    example: str
    source: str
    references: tuple[str, ...]
    length: int


@dataclass(frozen=True)
class Scored:
    """One test set, scored anew.

    Attributes:
        headline: the headline figure with its interval, and its name.
        figures: all that follow from outputs and references, by name.
        statistics: N,K, from whose sums `figure` makes the headline.
        examples: N.
        signatures: how figures are computed.
        rounded: names of figures that are made of rounded numbers.
    """

    name: str
    headline: Interval
    figures: Mapping[str, float]
    statistics: np.ndarray
    figure: Figure
    examples: np.ndarray
    signatures: Mapping[str, str] = field(default_factory=dict)
    rounded: frozenset[str] = frozenset()


class Judge(ABC):
    """Scores the outputs of one task."""

    higher_is_better: ClassVar[bool] = True
    #: Figures that nobody can work out without the model (its weights, its likelihoods).
    stated: ClassVar[frozenset[str]] = frozenset()

    @classmethod
    @abstractmethod
    def wanted(cls, data: TaskData) -> Mapping[str, Sequence[Wanted]]:
        """The test examples by test set, the headline's first."""

    @classmethod
    @abstractmethod
    def score(cls, data: TaskData, subset: str, rows: Sequence[Prediction]) -> Scored:
        """Figures of the outputs of a test set, which come in the order of `wanted`."""

    @classmethod
    def controls(cls, data: TaskData, subset: str) -> Mapping[str, float]:
        """Figures that the data alone give, by name without the test set's prefix."""
        return {}

    @classmethod
    def doubts(cls, row: Prediction, subset: str, place: int, scored: Scored) -> Iterator[str]:
        """What else of a row does not fit together."""
        return iter(())


@dataclass(frozen=True)
class Judged:
    """All figures of a trial as they must be.

    Attributes:
        metrics: by name, with the prefixes of the test sets.
        rounded: those of them that are made of rounded numbers.
        scored: by test set.
    """

    metrics: Mapping[str, float]
    rounded: frozenset[str]
    primary: Primary
    bins: tuple[LengthBin, ...]
    signatures: Mapping[str, str]
    scored: Mapping[str, Scored]


judges: Registry[type[Judge]] = Registry(
    "judge",
    package="reports.leaderboard.judges",
    group="attnbench.judges",
    base="reports.leaderboard.judging:Judge",
)


def judge(kind: type[Judge], data: TaskData, rows: Mapping[str, Sequence[Prediction]]) -> Judged:
    """All figures of a trial from its outputs, which are as many as are wanted, in that order."""
    metrics: dict[str, float] = {}
    rounded: set[str] = set()
    bins: list[LengthBin] = []
    scored: dict[str, Scored] = {}
    for subset, members in rows.items():
        prefix = f"{subset}_" if scored else ""
        one = scored[subset] = kind.score(data, subset, members)
        figures = {**one.figures, **kind.controls(data, subset)}
        metrics |= {f"{prefix}{name}": value for name, value in figures.items()}
        rounded |= {f"{prefix}{name}" for name in one.rounded}
        lengths = np.array([row.length for row in members], dtype=np.int64)
        bins += by_length(subset, lengths, one.statistics, one.figure)
    first = next(iter(scored.values()))
    return Judged(
        metrics=metrics,
        rounded=frozenset(rounded),
        primary=Primary(
            name=first.name,
            value=first.headline.value,
            low=first.headline.low,
            high=first.headline.high,
            higher_is_better=kind.higher_is_better,
        ),
        bins=tuple(bins),
        signatures=first.signatures,
        scored=scored,
    )


def perplexity(rows: Sequence[Prediction], units: int) -> dict[str, float]:
    """What follows from the likelihoods that the rows state; {} where they state none.

    Args:
        units: of all references, ends counted.
    """
    try:
        nll = sum(float(row.extra["nll"]) for row in rows)
    except (KeyError, TypeError, ValueError):
        return {}
    return {"perplexity": math.exp(min(nll / units, 50.0))}


def near(one: float, other: float, tolerance: float = 1e-6) -> bool:
    """Equal but for rounding. (Floating point adds in another order on another machine.)"""
    if not (math.isfinite(one) and math.isfinite(other)):
        return False
    return abs(one - other) <= tolerance * max(abs(one), abs(other), 1e-6)

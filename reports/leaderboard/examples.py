"""The test examples of a bundle's trials: statistics, and outputs where they may be shared.

Two kinds of members hold them. A *test set* names the examples and their lengths, once for all
trials that were tested on it; its name is the digest of the names and the right answers
(`reports.samples`), so that whoever has the data can tell whether it is theirs, and whoever has
not learns no sentence. The *examples* of a trial are columns in that order: a figure per example,
the statistics from which the headline figure and its interval are made, and what the model says of
itself. Outputs are there for generated data and where the licence of the data set allows it
(`Dataset.redistributable`): sentences that a model wrote quote those that it read. Sources and
right answers are never there.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import ConfigDict, Field, ValidationError, model_validator

from reports.leaderboard.rules import FrozenModel, Model, field_errors, parse_json
from reports.samples import Sample, samples_of
from tasks.evaluation.scoring import Prediction

#: What is kept of a model's own figures where outputs are not: the first of them that there is,
#: and how many units it is of.
_LIKELIHOODS, _UNITS = ("nll", "log_prob"), "units"
#: The probability of the chosen class, where a model gives one to each.
CONFIDENCE = "confidence"
#: Digits of a figure: sums of thousands agree to more than verification asks for.
DIGITS = 9

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


class Columns(FrozenModel):
    """The N examples of one test set as one trial has them.

    scores: N figures, higher is better.
    statistics: K columns of N numbers, from whose sums the headline figure is made.
    extra: columns of N by name, what is kept besides; null where an example has none.
    outputs: N texts, or None where they may not be shared.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    scores: list[Number]
    statistics: list[list[Number]] = Field(default_factory=list)
    extra: dict[str, list[Any]] = Field(default_factory=dict)
    outputs: list[str] | None = None

    def rows(self) -> list[dict[str, Any]]:
        """What is kept of each example besides, by name."""
        return [
            {
                name: column[place]
                for name, column in self.extra.items()
                if column[place] is not None
            }
            for place in range(len(self.scores))
        ]


class TestSet(FrozenModel):
    """The N examples of a test set: their names and source lengths, in the order of the data."""

    __test__ = False  # no class of tests, whatever pytest thinks of its name
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    examples: list[str] = Field(min_length=1)
    lengths: list[Annotated[int, Field(ge=0)]]

    @model_validator(mode="after")
    def _once(self) -> TestSet:
        if len(self.examples) != len(self.lengths):
            raise ValueError("it does not have a length for every example")
        if len(set(self.examples)) < len(self.examples):
            raise ValueError("two of its examples have the same name")
        return self


def tested(
    rows: Sequence[Mapping[str, Any]], *, with_outputs: bool
) -> dict[str, tuple[str, TestSet, Columns]]:
    """The test sets of a store's predictions by name: digest, examples, and their columns.

    Raises KeyError, TypeError, ValueError or OverflowError for rows that are not predictions.
    """
    members: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        members[str(row["subset"])].append(row)
    return {
        name: (
            sample.test_set,
            TestSet(
                examples=[str(row["example"]) for row in members[name]],
                lengths=[int(row.get("length", 0)) for row in members[name]],
            ),
            _columns(members[name], with_outputs=with_outputs),
        )
        for name, sample in samples_of(rows).items()
    }


def _columns(rows: Sequence[Mapping[str, Any]], *, with_outputs: bool) -> Columns:
    kept = [dict(row.get("extra") or {}) for row in rows]
    if not with_outputs:
        kept = [_own(extra) for extra in kept]
    names = dict.fromkeys(name for extra in kept for name in extra)
    statistics = [row.get("statistics") or () for row in rows]
    return Columns(
        scores=[_number(row["score"]) for row in rows],
        statistics=[[_number(one) for one in column] for column in zip(*statistics, strict=True)],
        extra={name: [extra.get(name) for extra in kept] for name in names},
        outputs=[str(row["prediction"]) for row in rows] if with_outputs else None,
    )


def _own(extra: Mapping[str, Any]) -> dict[str, Any]:
    """What tells two models apart and quotes nothing."""
    name = next((one for one in _LIKELIHOODS if one in extra), None)
    if name is not None:
        return {one: extra[one] for one in (name, _UNITS) if one in extra}
    probabilities = extra.get("probabilities")
    if isinstance(probabilities, Mapping) and probabilities:
        return {CONFIDENCE: max(probabilities.values())}
    return {}


def _number(value: float) -> float:
    """A figure to so many digits; whole numbers as they are."""
    return int(value) if float(value).is_integer() else float(f"{value:.{DIGITS}g}")


def packed(columns: Mapping[str, Columns]) -> bytes:
    """The examples of a trial as a member of a bundle, by test set."""
    return _compact({name: one.model_dump(exclude_none=True) for name, one in columns.items()})


def packed_test_set(test_set: TestSet) -> bytes:
    """A test set as a member of a bundle."""
    return _compact(test_set.model_dump())


def _compact(content: Any) -> bytes:
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode() + b"\n"


def read_test_set(content: bytes) -> TestSet:
    """Raises ValueError for what is none, saying why."""
    return _validated(parse_json(content), TestSet, "")


def read_columns(content: bytes, sizes: Mapping[str, int]) -> dict[str, Columns]:
    """The examples of a trial, by test set.

    Args:
        sizes: how many examples each test set has.

    Raises ValueError for what is none, saying why.
    """
    parsed = parse_json(content)
    if not isinstance(parsed, dict) or set(parsed) != set(sizes):
        raise ValueError(f"they are not those of {', '.join(sizes)}")
    found = {}
    for name, size in sizes.items():
        columns = _validated(parsed[name], Columns, f"{name}: ")
        parts = [columns.scores, *columns.statistics, *columns.extra.values()]
        if columns.outputs is not None:
            parts.append(columns.outputs)
        if any(len(part) != size for part in parts):
            raise ValueError(f"{name}: a column has not {size:,} examples")
        found[name] = columns
    return found


def _validated(parsed: Any, model: type[Model], where: str) -> Model:
    try:
        return model.model_validate(parsed)
    except ValidationError as error:
        raise ValueError(f"{where}{field_errors(error)[0]}") from None


def predictions(subset: str, test_set: TestSet, columns: Columns) -> list[Prediction]:
    """The examples of a test set as predictions, without source and right answers; the output is
    empty where it may not be shared."""
    size = len(test_set.examples)
    statistics = zip(*columns.statistics, strict=True) if columns.statistics else [()] * size
    return [
        Prediction(name, subset, "", (), text, length, score, tuple(statistic), extra)
        for name, length, text, score, statistic, extra in zip(
            test_set.examples,
            test_set.lengths,
            columns.outputs or [""] * size,
            columns.scores,
            statistics,
            columns.rows(),
            strict=True,
        )
    ]


def sample(digest: str, test_set: TestSet, columns: Columns) -> Sample:
    """The examples as a sample; its examples are in the order of their names."""
    order = np.argsort(np.array(test_set.examples, dtype=object), kind="stable")
    statistics = np.array(columns.statistics, dtype=np.float64).reshape(-1, len(order)).T  # N,K
    pairs = [columns.extra.get(name) for name in ("nll", _UNITS)]
    known = all(column is not None and None not in column for column in pairs)
    likelihoods = np.array(pairs if known else [], dtype=np.float64).reshape(-1, len(order)).T
    return Sample(
        digest,
        np.array(columns.scores, dtype=np.float64)[order],
        statistics[order],
        np.array(test_set.lengths, dtype=np.int64)[order],
        likelihoods[order],
    )

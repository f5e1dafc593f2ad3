"""One trial of a bundle against the data: every row, every figure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.result import LengthBin, Result
from reports.leaderboard.judging import ROUNDED, Judge, Judged, Wanted, judge, judges, near
from reports.leaderboard.opening import parse
from reports.leaderboard.problems import plain
from reports.leaderboard.rules import Limits
from tasks.base import Plan, Prediction, TaskData


class _Row(BaseModel):
    """A line of predictions; fields of `tasks.base.Prediction`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    example: str
    subset: str
    source: str
    references: list[str]
    prediction: str
    length: int
    score: float
    statistics: list[float] = []
    extra: dict[str, Any] = {}

    def prediction_row(self) -> Prediction:
        fields = dict(self)
        return Prediction(
            **{
                **fields,
                "references": tuple(self.references),
                "statistics": tuple(self.statistics),
            }
        )


@dataclass(frozen=True)
class Checked:
    """Problems by kind, and the figures that only the model's owner can know."""

    problems: tuple[tuple[str, ...], ...] = ()
    stated: frozenset[str] = field(default_factory=frozenset)


def check_trial(
    result: Result, plan: Plan, data: TaskData, content: bytes, limits: Limits
) -> Checked:
    """Everything about a finished trial that follows from data and outputs.

    Args:
        plan: a plan with the trial's task, data and settings.
        content: the member with its predictions.
    """
    if plan.cell.task not in judges:
        return Checked(((f"nothing here can judge the task {plan.cell.task}",),))
    kind = judges.get(plan.cell.task)
    general = tuple(_general(result, plan, data))
    rows, unreadable = _rows(content, limits)
    wanted = kind.wanted(data)
    matched, misplaced = _match(rows, wanted)
    if unreadable or misplaced:  # there is nothing to compute figures of
        return Checked((general, tuple(unreadable), tuple(misplaced)))
    judged = judge(kind, data, matched)
    return Checked(
        (
            general,
            tuple(_row_problems(matched, judged, kind)),
            tuple(_figure_problems(result, judged, kind)),
            tuple(_bin_problems(result.by_length, judged.bins)),
        ),
        _stated(result, judged),
    )


def _general(result: Result, plan: Plan, data: TaskData) -> Iterator[str]:
    if result.provenance.data_fingerprint != data.fingerprint:
        stated = (result.provenance.data_fingerprint or "nothing")[:12]
        yield f"other data: fingerprint {plain(stated)}, and {data.fingerprint[:12]} here"
    steps = plan.settings.steps
    interval = max(1, steps // plan.settings.validations)
    last = max((point.get("step", 0.0) for point in result.curve), default=0.0)
    if not steps - interval < last <= steps:  # validations are that far apart
        yield f"its curve ends at step {last:g}, and training at {steps}"


def _rows(content: bytes, limits: Limits) -> tuple[list[Prediction], list[str]]:
    """Lines as rows, and what is wrong with lines that are none."""
    rows, problems = [], []
    for number, line in enumerate(content.splitlines(), start=1):
        try:
            row = _Row.model_validate(parse(line)).prediction_row()
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"]))
            problems.append(f"line {number} of its predictions: {plain(place)}: {first['msg']}")
            continue
        except ValueError as error:
            problems.append(f"line {number} of its predictions is not JSON ({plain(error)})")
            continue
        if len(row.prediction) > limits.text:
            size = f"{len(row.prediction):,} characters, {limits.text:,} are allowed"
            problems.append(f"line {number} of its predictions: an output of {size}")
        rows.append(row)
    return rows, problems


def _match(
    rows: Iterable[Prediction], wanted: Mapping[str, Sequence[Wanted]]
) -> tuple[dict[str, list[Prediction]], list[str]]:
    """Rows in the order of the data set, and which are missing, double, or none of its own."""
    given: dict[tuple[str, str], list[Prediction]] = defaultdict(list)
    for row in rows:
        given[row.subset, row.example].append(row)
    matched: dict[str, list[Prediction]] = {subset: [] for subset in wanted}
    problems = []
    for subset, examples in wanted.items():
        lacking = [one.example for one in examples if (subset, one.example) not in given]
        if lacking:
            shown = ", ".join(map(plain, lacking[:3]))
            count = f"{len(lacking)} of {len(examples)} examples of {subset}"
            problems.append(f"no prediction for {count} ({shown}{', ...' * (len(lacking) > 3)})")
        for one in examples:
            members = given.pop((subset, one.example), [])
            if len(members) > 1:
                problems.append(f"{subset} {plain(one.example)}: {len(members)} predictions")
            if members:
                matched[subset].append(members[0])
                problems += _not_as_wanted(members[0], one)
    for subset, example in given:
        problems.append(f"{plain(subset)} {plain(example)}: the data have no such example")
    return matched, problems


def _not_as_wanted(row: Prediction, one: Wanted) -> Iterator[str]:
    where = f"{plain(row.subset)} {plain(one.example)}"
    if row.references != one.references:
        yield f"{where}: its references are not those of the data"
    if row.source != one.source:
        yield f"{where}: its source is not that of the data"
    if row.length != one.length:
        yield f"{where}: its length is {one.length}, not {row.length}"


def _row_problems(
    rows: Mapping[str, Sequence[Prediction]], judged: Judged, kind: type[Judge]
) -> Iterator[str]:
    for subset, members in rows.items():
        scored = judged.scored[subset]
        for place, row in enumerate(members):
            where = f"{subset} {plain(row.example)}"
            score = float(scored.examples[place])
            if not near(row.score, score):
                yield f"{where}: its score is {score:.6g}, not {row.score:.6g}"
            counts = scored.statistics[place].tolist()
            if len(counts) != len(row.statistics) or not all(map(near, counts, row.statistics)):
                yield f"{where}: its statistics are not those of its output"
            yield from (
                f"{where}: {plain(doubt)}" for doubt in kind.doubts(row, subset, place, scored)
            )


def _figure_problems(result: Result, judged: Judged, kind: type[Judge]) -> Iterator[str]:
    for name, value in judged.metrics.items():
        if name not in result.metrics:
            yield f"{name} is missing; the outputs give {value:.6g}"
            continue
        tolerance = ROUNDED if name in judged.rounded else 1e-6
        if not near(result.metrics[name], value, tolerance):
            yield f"{name} is {value:.6g} by the outputs, not {result.metrics[name]:.6g}"
    allowed = {
        f"{prefix}{name}"
        for prefix in ("", *(f"{subset}_" for subset in judged.scored))
        for name in kind.stated
    }
    for name in sorted(set(result.metrics) - set(judged.metrics) - allowed):
        yield f"nobody knows a figure {plain(name)}"
    primary = result.primary
    assert primary is not None, "the record of a finished trial has a headline figure"
    for part in ("name", "higher_is_better"):
        if getattr(primary, part) != getattr(judged.primary, part):
            have, want = plain(getattr(primary, part)), getattr(judged.primary, part)
            yield f"{part} of the headline figure is {want}, not {have}"
    for part in ("value", "low", "high"):
        have, want = getattr(primary, part), getattr(judged.primary, part)
        if not near(have, want):
            yield f"{part} of the headline figure is {want:.6g} by the outputs, not {have:.6g}"
    for name, text in judged.signatures.items():
        stated = result.provenance.signatures.get(name)
        if stated != text:
            yield f"{name} was computed in another way: {plain(stated)}, and {text} here"


def _bin_problems(given: Sequence[LengthBin], wanted: Sequence[LengthBin]) -> Iterator[str]:
    def place(one: LengthBin) -> tuple[str, int, int, int]:
        return one.subset, one.low, one.high, one.examples

    if list(map(place, given)) != list(map(place, wanted)):
        yield "its curve by length has other bins than the data give"
        return
    for one, other in zip(given, wanted, strict=True):
        if not near(one.value, other.value):
            where = f"{one.subset}, length {one.low} to {one.high}"
            yield f"{where}: {other.value:.6g} by the outputs, not {one.value:.6g}"


def _stated(result: Result, judged: Judged) -> frozenset[str]:
    """What was taken as it stands: by name."""
    names = {name for name in result.metrics if name not in judged.metrics}
    if result.alignment is not None:
        names.add("alignment")
    figures = result.cost.model_dump(exclude={"parameters"})
    names |= {name for name, value in figures.items() if value is not None and math.isfinite(value)}
    return frozenset(names)

"""What a cell may be: its names, its options, its budget and its class, by the rules."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.attention.base import Placement
from bench.attention.registries import attentions
from bench.errors import UsageError
from bench.store.cell import Cell
from bench.store.result import LengthBin, Result
from reports.leaderboard.bundle import Manifest, Mechanism, Trial, climbs, parse, plain
from reports.leaderboard.judging import ROUNDED, Judge, Judged, Wanted, judge, judges, near
from reports.leaderboard.rules import Class, Limits, Rules
from tasks.base import Plan, Prediction, TaskData
from tasks.plan import make_cell, refusal, resolve


@dataclass(frozen=True)
class Planned:
    """A cell of a bundle as it would be run here.

    Attributes:
        plan: for a mechanism that is not installed here, one with another mechanism of its
            placement: it says everything but what the model is.
        known: whether the mechanism is installed here.
    """

    cell: Cell
    plan: Plan
    known: bool


def well_formed(cell: Cell, limits: Limits) -> Cell:
    """The cell, if its fields are what they should be. Raises ValueError otherwise.

    Options go on to readers of data and builders of models, so texts must not name files outside
    the data root, and numbers must not ask for more than a machine has.
    """
    names = (cell.task, cell.dataset, cell.attention, cell.score, cell.budget)
    if not all(isinstance(name, str) for name in names):
        raise ValueError("a name in its cell is not a text")
    if type(cell.seed) is not int:
        raise ValueError("the seed in its cell is not a whole number")
    options: Mapping[str, Any] = cell.options  # of a stranger's JSON, whatever it says
    for name, value in options.items():
        if isinstance(value, str):
            if climbs(value):
                raise ValueError(f"{plain(name)}={plain(value)} leads out of the data root")
        elif isinstance(value, int | float):
            if not abs(value) <= limits.number:
                raise ValueError(f"{plain(name)}={value:g} is more than {limits.number:,}")
        elif value is not None:
            raise ValueError(f"{plain(name)} in its cell is neither number nor text")
    return cell


def planned(cell: Cell, mechanism: Mechanism | None) -> Planned:
    """Raises UsageError where nothing here could run the cell."""
    if cell.attention in attentions:
        named = make_cell(
            cell.task,
            cell.attention,
            cell.score,
            dataset=cell.dataset,
            budget=cell.budget,
            seed=cell.seed,
            options=cell.options,
        )
        if named.hash != cell.hash:
            raise UsageError("it repeats defaults, or has options that change nothing")
        return Planned(cell, resolve(cell), known=True)
    if mechanism is None:
        raise UsageError(f"the manifest says nothing about '{plain(cell.attention)}'")
    _check_names(cell, mechanism)
    options = {k: v for k, v in cell.options.items() if k not in mechanism.options}
    other = replace(cell, attention=_stand_in(mechanism.placement), options=options)
    return Planned(cell, resolve(other), known=False)


def _check_names(cell: Cell, mechanism: Mechanism) -> None:
    """Nobody may pass a setting off as an option of a mechanism that cannot be looked at."""
    from tasks.base import datasets, tasks

    settings = tasks.get(cell.task).Settings.model_fields
    data = datasets(cell.task).get(cell.dataset).Options.model_fields
    taken = sorted(set(mechanism.options) & {*settings, *data})
    if taken:
        raise UsageError(f"the manifest calls {', '.join(taken)} an option of the attention")


def _stand_in(placement: Placement) -> str:
    return next(name for name, kind in attentions.items() if kind.placement == placement)


def check_settings(one: Planned, trial: Trial, manifest: Manifest, rules: Rules) -> Iterator[str]:
    """Where a cell breaks the rules of the class it claims."""
    if one.cell.budget not in rules.budgets:
        yield f"the budget {one.cell.budget} is none of {', '.join(rules.budgets)}"
    if one.known:
        yield from _placement(one, manifest.mechanisms.get(one.cell.attention))
    if trial.settings != one.plan.settings.model_dump(mode="json"):
        yield from _other_settings(trial, one.plan)
    changed = [name for name in one.cell.options if name in type(one.plan.settings).model_fields]
    for name in changed:
        if name in rules.fixed:
            yield f"{name} must not be changed"
        elif not _is_free(name, manifest.kind, rules):
            value = plain(one.cell.options[name])
            yield f"{name}={value} is not what its class '{manifest.kind}' gives to all"


def _placement(one: Planned, claimed: Mechanism | None) -> Iterator[str]:
    if claimed is None:
        yield f"the manifest says nothing about '{one.cell.attention}'"
    elif claimed.placement != one.plan.attention.placement:
        here = one.plan.attention.placement
        yield f"its placement is {here} here, and {claimed.placement} in the manifest"


def _other_settings(trial: Trial, plan: Plan) -> Iterator[str]:
    here = plan.settings.model_dump(mode="json")
    for name in sorted({*here, *trial.settings}):
        if name not in trial.settings or name not in here:
            where = "the manifest" if name in trial.settings else "the suite"
            yield f"only {where} has a setting {plain(name)}"
        elif trial.settings[name] != here[name]:
            stated = plain(trial.settings[name])
            yield f"{name} is {here[name]} under this budget here, and {stated} in the manifest"


def _is_free(name: str, kind: Class, rules: Rules) -> bool:
    allowed = rules.classes[kind].settings
    return allowed is None or name in allowed


@cache
def rivals(task: str, dataset: str, budget: str, placement: Placement) -> tuple[Cell, ...]:
    """The suite's own mechanisms of a placement, each with the score of its paper."""
    from tasks.base import tasks

    own = [
        (name, kind)
        for name, kind in attentions.items()
        if kind.placement == placement and kind.__module__.startswith("bench.")
    ]
    return tuple(
        make_cell(task, name, dataset=dataset, budget=budget)
        for name, kind in own
        if not refusal(tasks.get(task), name, kind.classic_score)
    )


# One trial of a bundle against the data: every row, every figure.


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

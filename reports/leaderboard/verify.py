"""Verifying a bundle: nothing in it is believed that can be worked out again.

References come from the data set itself, read or generated here; the bundle only says by a
fingerprint which data it means. Outputs are scored again as a trial scores them
(`tasks.evaluation.scoring`), and every stated figure is compared. The size of a model is counted on
a model built here. What remains is a claim (that the outputs are the model's, time, memory,
likelihoods, where the model looked) and is called one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from bench.errors import UsageError
from bench.store.cell import Cell
from bench.store.result import LengthBin, Result, fault_of_age
from reports.leaderboard.bundle import Bundle, Problem, plain, predictions_of, record_of, shortened
from reports.leaderboard.checks import (
    Planned,
    check_settings,
    missing_seeds,
    model_size,
    named,
    planned,
    rivals,
    well_formed,
    without_seed,
)
from reports.leaderboard.plausibility import (
    OWN,
    copies,
    impossible,
    impossible_prediction,
    impossible_share,
)
from reports.leaderboard.rules import Limits, Rules, field_errors, parse_json
from tasks.base import Paths, Plan, TaskData
from tasks.evaluation.scoring import (
    Outputs,
    Prediction,
    Reference,
    Scorer,
    TrialScores,
    score_outputs,
)
from tasks.plan import resolve

#: Figures agree but for rounding (relative): floating point adds in another order on another
#: machine. Perplexity is a sum of likelihoods that predictions have to four places.
TOLERANCE, PERPLEXITY_TOLERANCE = 1e-6, 1e-4


@dataclass(frozen=True)
class Verdict:
    """What verifying a bundle found.

    Attributes:
        problems: everything that is wrong; none means that the bundle is verified.
        notes: what a reader should know all the same.
        stated: names of figures that could not be worked out again.
        results: the records that could be read.
    """

    bundle: Bundle
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    stated: tuple[str, ...]
    results: tuple[Result, ...]

    @property
    def is_verified(self) -> bool:
        return not self.problems


@dataclass
class _Findings:
    problems: list[Problem] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    stated: set[str] = field(default_factory=set)

    def add(self, where: str, whats: Iterable[str]) -> None:
        self.problems += shortened(Problem(where, what) for what in whats)

    def verdict(self, bundle: Bundle, results: Sequence[Result]) -> Verdict:
        notes, stated = tuple(self.notes), tuple(sorted(self.stated))
        return Verdict(bundle, tuple(self.problems), notes, stated, tuple(results))


def verify(bundle: Bundle, rules: Rules, paths: Paths) -> Verdict:
    """Check everything that can be checked.

    Raises UsageError where the data that the bundle means are not here.
    """
    found, manifest = _Findings(), bundle.manifest
    if manifest.rules != rules.version:
        found.notes[f"made for the rules {plain(manifest.rules)}, judged by {rules.version}"] = None
    if manifest.kind not in rules.classes:
        found.problems.append(Problem("", f"these rules have no class '{manifest.kind}'"))
        return found.verdict(bundle, ())
    results = [one for hash in sorted(manifest.trials) for one in _record(bundle, hash, found)]
    found.problems += missing_seeds([one.cell for one in results], rules)
    by_data: dict[tuple[str, ...], list[tuple[Result, Planned]]] = defaultdict(list)
    for result in results:
        for one in _planned(bundle, result, rules, found):
            cell, models = one.plan.cell, (one.plan.dataset_options, one.plan.settings)
            key = (cell.task, cell.dataset, *(model.model_dump_json() for model in models))
            by_data[key].append((result, one))
    for members in by_data.values():  # one data set in memory at a time
        _check_on_data(bundle, members, rules, paths, found)
    return found.verdict(bundle, results)


def _record(bundle: Bundle, hash: str, found: _Findings) -> Iterator[Result]:
    where = f"trial {hash[:12]}"
    content = bundle.read(record_of(hash))
    if not bundle.is_whole(record_of(hash), content):
        found.add(where, ["its record is not the one that the manifest names (SHA-256 differs)"])
    try:
        record = parse_json(content)
        if fault := fault_of_age(record):
            raise ValueError(fault)
        result = Result.from_json(record)
        cell = well_formed(result.cell, bundle.limits)
    except (ValueError, TypeError, AttributeError) as error:
        told = field_errors(error)[0] if isinstance(error, ValidationError) else str(error)
        found.add(where, [f"not a valid record ({plain(told.removeprefix('Value error, '))})"])
        return
    if cell.hash != hash:
        found.add(where, [f"holds the record of {plain(result.hash)[:12]}"])
    elif result.status != "done":
        found.add(named(cell), ["it did not finish"])
    else:
        yield result


def _planned(bundle: Bundle, result: Result, rules: Rules, found: _Findings) -> Iterator[Planned]:
    cell, manifest = result.cell, bundle.manifest
    trial = manifest.trials[result.hash]
    try:
        one = planned(cell, manifest.mechanisms.get(cell.attention))
    except UsageError as error:
        found.add(named(cell), [plain(error, 300)])
        return
    found.add(named(cell), check_settings(one, trial, manifest, rules))
    if trial.data != result.provenance.data_fingerprint:
        found.add(named(cell), ["record and manifest name different data"])
    yield one


def _check_on_data(
    bundle: Bundle,
    members: list[tuple[Result, Planned]],
    rules: Rules,
    paths: Paths,
    found: _Findings,
) -> None:
    plan = members[0][1].plan
    try:
        data = plan.task.prepare(plan, paths)
    except UsageError as error:  # it may quote what a stranger wrote
        raise UsageError(
            plain(error.what, 300), where=plain(error.where), remedy=error.remedy
        ) from None
    sizes: dict[str, int] = {}
    outputs: list[tuple[Cell, list[Prediction]]] = []
    for result, one in members:
        where = named(one.cell)
        found.add(where, _parameters(bundle, result, one, data, sizes, rules, found))
        content = bundle.read(predictions_of(result.hash))
        if not bundle.is_whole(predictions_of(result.hash), content):
            found.add(
                where, ["its predictions are not those that the manifest names (SHA-256 differs)"]
            )
        rows, unreadable = _rows(content, rules.limits)
        outputs.append((one.cell, rows))
        for whats in _check_trial(result, plan, data, rows, unreadable, found):
            found.add(where, whats)
    for copy in copies(outputs):
        if copy.is_refused:
            found.problems.append(copy.problem)
        else:
            found.notes[str(copy.problem)] = None
    if plan.dataset.external:
        found.notes.update(
            (f"{plan.cell.dataset}: {plain(note, 300)}", None) for note in data.notes
        )


def _parameters(
    bundle: Bundle,
    result: Result,
    one: Planned,
    data: TaskData,
    sizes: dict[str, int],
    rules: Rules,
    found: _Findings,
) -> Iterator[str]:
    """Whether the model is as large as stated, and as its class allows."""
    stated = result.cost.parameters
    if stated is None:
        yield "it does not say how many parameters it has"
        return
    if one.known:
        key = without_seed(one.cell)
        if key not in sizes:
            sizes[key] = model_size(one.plan, data)
        if stated != sizes[key]:
            yield f"it has {sizes[key]:,} parameters, not {stated:,}"
        stated = max(stated, sizes[key])
    else:
        origin = bundle.manifest.mechanisms[one.cell.attention].origin
        found.notes[
            f"{plain(one.cell.attention)} ({plain(origin)}) is not installed here: its parameters "
            "are stated, not counted"
        ] = None
    yield from impossible_share(result.cost, stated)
    factor = rules.classes[bundle.manifest.kind].parameters
    if factor is None:
        return
    # The suite's largest model of that family in the same setting.
    cell = one.plan.cell
    sized = []
    setting = (cell.task, cell.dataset, cell.budget)
    for rival in rivals(*setting, one.plan.backbone, one.plan.attention.placement):
        key = f"rival {rival.label}"
        if key not in sizes:
            sizes[key] = model_size(resolve(rival), data)
        sized.append((sizes[key], f"{rival.attention} + {rival.score}"))
    largest, name = max(sized)
    if stated > factor * largest:
        yield (
            f"{stated:,} parameters; its class '{bundle.manifest.kind}' allows "
            f"{int(factor * largest):,} ({factor:g} times those of {name})"
        )


def _check_trial(
    result: Result,
    plan: Plan,
    data: TaskData,
    rows: list[Prediction],
    unreadable: list[str],
    found: _Findings,
) -> Iterator[Iterable[str]]:
    """What is wrong with a finished trial: its predictions and figures, by kind of problem.

    Args:
        plan: a plan with the trial's task, data and settings.
        rows, unreadable: its predictions, and what is wrong with lines that are none.
        found: is told the names of figures that only the model's owner can know.
    """
    scorer = plan.task.scorer()
    if scorer is None:
        yield [f"nothing here can judge the task {plan.cell.task}"]
        return
    yield _general(result, plan, data)
    yield impossible(result, plan)
    matched, misplaced = _match(rows, scorer.references(data))
    if unreadable or misplaced:  # there is nothing to compute figures of
        yield unreadable
        yield misplaced
        return
    outputs = {subset: _outputs(members) for subset, members in matched.items()}
    scores = score_outputs(scorer, data, outputs)
    yield _prediction_problems(matched, scores, scorer)
    yield _figure_problems(result, scores, scorer)
    yield _bin_problems(result.by_length, scores.by_length)
    # What was taken as it stands, by name.
    found.stated |= result.metrics.keys() - scores.metrics.keys()
    if result.alignment is not None:
        found.stated.add("alignment")
    if result.curve:
        found.stated.add("curve")
    if any(name in row.extra for row in rows for name in OWN):
        found.stated.add("likelihoods")
    costs = result.cost.model_dump(exclude={"parameters"}).items()
    found.stated |= {name for name, one in costs if one is not None and math.isfinite(one)}


def _general(result: Result, plan: Plan, data: TaskData) -> Iterator[str]:
    stated, here = result.provenance.data_fingerprint, data.corpus.fingerprint
    if stated != here:
        yield f"other data: fingerprint {plain((stated or 'nothing')[:12])}, and {here[:12]} here"
    elif result.cell.data != (here if plan.dataset.external else ""):
        yield "its cell does not name its data as it should"
    elif result.provenance.splits != data.corpus.identities:
        yield "its splits are not those of the data"


class _Row(BaseModel):
    """A line of predictions; fields of `tasks.evaluation.scoring.Prediction`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    example: str
    subset: str
    source: str
    references: tuple[str, ...]
    prediction: str
    length: int
    score: float
    statistics: tuple[float, ...] = ()
    extra: dict[str, Any] = {}


def _rows(content: bytes, limits: Limits) -> tuple[list[Prediction], list[str]]:
    """Return the lines as rows, and what is wrong with lines that are none."""
    rows, problems = [], []
    for number, line in enumerate(content.splitlines(), start=1):
        where = f"line {number} of its predictions"
        try:
            parse_json(line)  # stricter than pydantic's reader: no NaN
            row = Prediction(**dict(_Row.model_validate_json(line)))
        except ValidationError as error:
            problems.append(f"{where}: {plain(field_errors(error)[0], 300)}")
            continue
        except ValueError as error:
            problems.append(f"{where} is not JSON ({plain(error)})")
            continue
        if len(row.prediction) > limits.text:
            size = f"{len(row.prediction):,} characters, {limits.text:,} are allowed"
            problems.append(f"{where}: an output of {size}")
        rows.append(row)
    return rows, problems


def _match(
    rows: Iterable[Prediction], wanted: Mapping[str, Sequence[Reference]]
) -> tuple[dict[str, list[Prediction]], list[str]]:
    """Rows in the order of the data set, and which are missing, double, or none of its own."""
    given: dict[tuple[str, str], list[Prediction]] = defaultdict(list)
    for row in rows:
        given[row.subset, row.example].append(row)
    matched: dict[str, list[Prediction]] = {subset: [] for subset in wanted}
    problems: list[str] = []
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
                problems += _unlike(members[0], one)
    problems += (f"{plain(at)} {plain(one)}: the data have no such example" for at, one in given)
    return matched, problems


def _unlike(row: Prediction, one: Reference) -> Iterator[str]:
    where = f"{plain(row.subset)} {plain(one.example)}"
    if row.references != one.references:
        yield f"{where}: its references are not those of the data"
    if row.source != one.source:
        yield f"{where}: its source is not that of the data"
    if row.length != one.length:
        yield f"{where}: its length is {one.length}, not {row.length}"


def _outputs(rows: Sequence[Prediction]) -> Outputs:
    """Stored predictions as the outputs of their model. Its likelihoods are what they state; none
    where one states none."""
    texts = [row.prediction for row in rows]
    try:
        return Outputs(texts, [float(row.extra["nll"]) for row in rows])
    except (KeyError, TypeError, ValueError):
        return Outputs(texts)


def _prediction_problems(
    rows: Mapping[str, Sequence[Prediction]], scores: TrialScores, scorer: Scorer[Any]
) -> Iterator[str]:
    known = iter(scores.predictions)
    for subset, members in rows.items():
        for place, row in enumerate(members):
            where, wanted = f"{subset} {plain(row.example)}", next(known)
            if not near(row.score, wanted.score):
                yield f"{where}: its score is {wanted.score:.6g}, not {row.score:.6g}"
            counts = wanted.statistics
            if len(counts) != len(row.statistics) or not all(map(near, counts, row.statistics)):
                yield f"{where}: its statistics are not those of its output"
            for what in scorer.contradictions(row, scores.subsets[subset], place):
                yield f"{where}: {plain(what)}"
            yield from (f"{where}: {what}" for what in impossible_prediction(row))


def _figure_problems(result: Result, scores: TrialScores, scorer: Scorer[Any]) -> Iterator[str]:
    for name, value in scores.metrics.items():
        if name not in result.metrics:
            yield f"{name} is missing; the outputs give {value:.6g}"
            continue
        rounded = name.split("_")[-1] == "perplexity"
        tolerance = PERPLEXITY_TOLERANCE if rounded else TOLERANCE
        if not near(result.metrics[name], value, tolerance):
            yield f"{name} is {value:.6g} by the outputs, not {result.metrics[name]:.6g}"
    prefixes = "", *(f"{subset}_" for subset in scores.subsets)
    allowed = {prefix + name for prefix in prefixes for name in scorer.model_metrics}
    for name in sorted(result.metrics.keys() - scores.metrics.keys() - allowed):
        yield f"nobody knows a figure {plain(name)}"
    assert result.primary is not None, "the record of a finished trial has a headline figure"
    for part in ("name", "higher_is_better", "value", "low", "high"):
        have, want = getattr(result.primary, part), getattr(scores.primary, part)
        if not isinstance(want, float):
            if have != want:
                yield f"{part} of the headline figure is {want}, not {plain(have)}"
        elif not near(have, want):
            yield f"{part} of the headline figure is {want:.6g} by the outputs, not {have:.6g}"
    for name, text in scores.signatures.items():
        stated = result.provenance.signatures.get(name)
        if stated != text:
            yield f"{name} was computed in another way: {plain(stated)}, and {text} here"
    for name in sorted(result.provenance.signatures.keys() - scores.signatures.keys()):
        yield f"nobody knows a signature {plain(name)}"


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


def near(one: float, other: float, tolerance: float = TOLERANCE) -> bool:
    """Whether two figures are equal but for rounding."""
    finite = math.isfinite(one) and math.isfinite(other)
    return finite and math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance * 1e-6)


def paths_of(data_root: Path | None) -> Paths:
    """Return where data sets are, and where prepared data are kept."""
    return Paths.of_user(data_root)

"""Verifying a bundle: nothing in it is believed that can be worked out again.

References come from the data set itself, read or generated here; the bundle only says by
fingerprints which data and which test examples it means. Outputs are scored again as a trial scores
them (`tasks.evaluation.scoring`), and every stated figure is compared. The size of a model is
counted on a model built here.

Where the data are not here, or outputs may not be shared, the headline figure, its interval and its
curve by length are worked out again from the statistics of every example, which then are a claim.
What remains is a claim as well (that the outputs are the model's, time, memory, likelihoods, where
the model looked) and is called one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pydantic import ValidationError

from bench.errors import UsageError
from bench.store.cell import Cell
from bench.store.result import Result, fault_of_age
from reports.leaderboard.bundle import Bundle, Problem, plain, record_of, shortened
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
from reports.leaderboard.recomputed import (
    Tested,
    bin_problems,
    figure_problems,
    prediction_problems,
    primary_of,
    statistics_problems,
)
from reports.leaderboard.rules import Limits, Rules, field_errors, parse_json
from reports.samples import digest_of
from tasks.base import Paths, Plan, TaskData
from tasks.evaluation.scoring import (
    Outputs,
    Prediction,
    Reference,
    score_outputs,
)
from tasks.plan import resolve


@dataclass
class Verdict:
    """What verifying a bundle found.

    Attributes:
        results: the records that could be read.
        problems: everything that is wrong; none means that the bundle is verified.
        notes: what a reader should know all the same, each once.
        claims: names of figures that could not be worked out again.
        open: entries that lack a seed.
    """

    bundle: Bundle
    results: tuple[Result, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)
    claims: set[str] = field(default_factory=set)
    open: tuple[Problem, ...] = ()

    @property
    def is_verified(self) -> bool:
        return not self.problems

    @property
    def stated(self) -> list[str]:
        """The names of the figures that are taken as stated, sorted."""
        return sorted(self.claims)

    def counted(self, rules: Rules) -> dict[str, Result]:
        """The results of the seeds that count, by hash, each under the name that a `BundleReader`
        of several bundles knows; the cells stay."""
        return {
            one.hash: one.model_copy(update={"hash": f"{self.bundle.id}-{one.hash}"})
            for one in self.results
            if one.cell.seed in rules.seeds
        }

    def add(self, where: str, whats: Iterable[str]) -> None:
        self.problems += shortened(Problem(where, what) for what in whats)


def verify(bundle: Bundle, rules: Rules, paths: Paths | None) -> Verdict:
    """Check everything that can be checked.

    Args:
        paths: of the data; None looks at no data at all, generated ones included, which takes
            seconds: all figures are then worked out from statistics.

    Raises UsageError where a member of the bundle cannot be read.
    """
    found, manifest = Verdict(bundle), bundle.manifest
    if manifest.rules != rules.version:
        found.notes[f"made for the rules {plain(manifest.rules)}, judged by {rules.version}"] = None
    if manifest.kind not in rules.classes:
        found.problems.append(Problem("", f"these rules have no class '{manifest.kind}'"))
        return found
    hashes = sorted(manifest.trials)
    found.results = tuple(one for hash in hashes for one in _record(bundle, hash, found))
    found.open = missing_seeds([one.cell for one in found.results], rules)
    by_data: dict[tuple[str, ...], list[tuple[Result, Planned]]] = defaultdict(list)
    for result in found.results:
        for one in _planned(bundle, result, rules, found):
            cell, models = one.plan.cell, (one.plan.dataset_options, one.plan.settings)
            key = (cell.task, cell.dataset, *(model.model_dump_json() for model in models))
            by_data[key].append((result, one))
    for members in by_data.values():  # one data set in memory at a time
        _check_on_data(bundle, members, rules, paths, found)
    return found


def _record(bundle: Bundle, hash: str, found: Verdict) -> Iterator[Result]:
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


def _planned(bundle: Bundle, result: Result, rules: Rules, found: Verdict) -> Iterator[Planned]:
    cell, manifest = result.cell, bundle.manifest
    try:
        one = planned(cell, manifest.mechanisms.get(cell.attention))
    except UsageError as error:
        found.add(named(cell), [plain(error, 300)])
        return
    found.add(named(cell), check_settings(one, result.settings, manifest, rules))
    if manifest.trials[result.hash].data != result.provenance.data_fingerprint:
        found.add(named(cell), ["record and manifest name different data"])
    yield one


def _check_on_data(
    bundle: Bundle,
    members: list[tuple[Result, Planned]],
    rules: Rules,
    paths: Paths | None,
    found: Verdict,
) -> None:
    plan = members[0][1].plan
    data = _data(plan, paths, found)
    sizes: dict[str, int] = {}
    outputs: list[tuple[Cell, list[Prediction]]] = []
    for result, one in members:
        where = named(one.cell)
        if data is None:
            found.claims.add("parameters")
            found.add(where, impossible_share(result.cost, result.cost.parameters or 0))
        else:
            found.add(where, _parameters(bundle, result, one, data, sizes, rules, found))
        try:
            columns, test_sets = bundle.examples(result.hash)
        except UsageError as error:
            found.add(where, [f"its examples cannot be used ({plain(error.what, 300)})"])
            continue
        digests = bundle.manifest.trials[result.hash].digests
        trial = Tested(result, plan, columns, test_sets, digests)
        outputs.append((one.cell, [row for rows in trial.rows.values() for row in rows]))
        for whats in _check_trial(trial, data, rules, found):
            found.add(where, whats)
    for problem, refused in copies(outputs):
        if refused:
            found.problems.append(problem)
        else:
            found.notes[str(problem)] = None
    if data is not None and plan.dataset.external:
        found.notes.update(
            (f"{plan.cell.dataset}: {plain(note, 300)}", None) for note in data.notes
        )


def _data(plan: Plan, paths: Paths | None, found: Verdict) -> TaskData | None:
    """The data of a plan; None, with a note, where they are not here."""
    name = f"{plan.cell.task}/{plan.cell.dataset}"
    if paths is None:
        return None
    try:
        return plan.task.prepare(plan, paths)
    except UsageError as error:  # it may quote what a stranger wrote
        what = plain(error.what, 300)
        if not plan.dataset.external:
            raise UsageError(what, where=plain(error.where), remedy=error.remedy) from None
        found.notes[f"{name}: worked out from statistics alone, without the data ({what})"] = None
        return None


def _parameters(
    bundle: Bundle,
    result: Result,
    one: Planned,
    data: TaskData,
    sizes: dict[str, int],
    rules: Rules,
    found: Verdict,
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
    chooses = type(one.plan.settings).chooses_recipe
    recipe = tuple((name, cell.options[name]) for name in chooses if name in cell.options)
    for rival in rivals(*setting, one.plan.backbone, one.plan.attention.placement, recipe):
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
    trial: Tested, data: TaskData | None, rules: Rules, found: Verdict
) -> Iterator[Iterable[str]]:
    """What is wrong with a finished trial: its examples and figures, by kind of problem.

    Args:
        data: None where they are not here.
        found: is told the names of figures that only the model's owner can know.
    """
    result, plan = trial.result, trial.plan
    scorer = plan.task.scorer()
    if scorer is None:
        yield [f"nothing here can judge the task {plan.cell.task}"]
        return
    yield impossible(result, plan)
    if trial.has_outputs and not plan.dataset.shares_outputs():
        yield [f"it has outputs, which the licence of {plan.cell.dataset} does not let go round"]
    rows = trial.rows
    yield (one for members in rows.values() for one in _impossible_rows(members, rules.limits))
    if data is not None:
        yield _general(result, plan, data)
        references = scorer.references(data)
        if unlike := list(_unlike(trial, references)):
            yield unlike  # there is nothing to compute figures of
            return
        if trial.has_outputs:
            # Rows may be in any order; outputs are scored in that of the data.
            rows = {name: in_order(rows[name], references[name]) for name in references}
            outputs = {name: _outputs(members) for name, members in rows.items()}
            scores = score_outputs(scorer, data, outputs)
            yield prediction_problems(rows, scores, scorer)
            yield figure_problems(result, scores, scorer)
            yield bin_problems(result.by_length, scores.by_length, "the outputs")
            found.claims |= result.metrics.keys() - scores.metrics.keys()
            found.claims |= _stated(result)
            if any(row.extra.keys() & {*OWN} for members in rows.values() for row in members):
                found.claims.add("likelihoods")
            return
    yield from statistics_problems(trial, scorer)
    found.claims |= {"statistics of examples", *result.metrics} - {primary_of(result).name}
    found.claims |= _stated(result)


def in_order(rows: Sequence[Prediction], references: Sequence[Reference]) -> list[Prediction]:
    """Rows in the order of the data set; both have the same names."""
    by_name = {row.example: row for row in rows}
    return [by_name[one.example] for one in references]


def _stated(result: Result) -> set[str]:
    """The names of what was taken as it stands, besides metrics."""
    found = {"alignment"} if result.alignment is not None else set()
    if result.curve:
        found.add("curve")
    costs = result.cost.model_dump(exclude={"parameters"}).items()
    return found | {name for name, one in costs if one is not None and math.isfinite(one)}


def _general(result: Result, plan: Plan, data: TaskData) -> Iterator[str]:
    stated, here = result.provenance.data_fingerprint, data.corpus.fingerprint
    if stated != here:
        yield f"other data: fingerprint {plain((stated or 'nothing')[:12])}, and {here[:12]} here"
    elif result.cell.data != (here if plan.dataset.external else ""):
        yield "its cell does not name its data as it should"
    elif result.provenance.splits != data.corpus.identities:
        yield "its splits are not those of the data"


def _impossible_rows(rows: Iterable[Prediction], limits: Limits) -> Iterator[str]:
    """What examples say that cannot be."""
    for row in rows:
        where = f"{plain(row.subset)} {plain(row.example)}"
        if len(row.prediction) > limits.text:
            size = f"{len(row.prediction):,} characters, {limits.text:,} are allowed"
            yield f"{where}: an output of {size}"
        yield from (f"{where}: {what}" for what in impossible_prediction(row))


def _unlike(trial: Tested, wanted: Mapping[str, Sequence[Reference]]) -> Iterator[str]:
    """How the test sets of a trial differ from those of the data."""
    if set(trial.digests) != set(wanted):
        have, want = (", ".join(sorted(map(plain, names))) for names in (trial.digests, wanted))
        yield f"it was tested on {have}; the data have {want}"
        return
    for subset, examples in wanted.items():
        tested = trial.test_sets[subset]
        ordered = sorted(examples, key=lambda one: one.example)
        digest = digest_of((one.example, one.references) for one in ordered)
        lengths = dict(zip(tested.examples, tested.lengths, strict=True))
        lacking = [one.example for one in examples if one.example not in lengths]
        known = {one.example for one in examples}
        others = [name for name in tested.examples if name not in known]
        if lacking:
            count = f"{len(lacking)} of {len(examples)} examples of {subset}"
            yield f"no prediction for {count} ({_some(lacking)})"
        if others:
            yield f"{subset}: the data have no such example: {_some(others)}"
        if lacking or others:
            continue
        if digest != trial.digests[subset]:
            yield f"{subset}: its right answers are not those of the data"
        for one in examples:
            if lengths[one.example] != one.length:
                where = f"{subset} {plain(one.example)}"
                yield f"{where}: its length is {one.length}, not {lengths[one.example]}"


def _some(names: Sequence[str]) -> str:
    return f"{', '.join(map(plain, names[:3]))}{', ...' * (len(names) > 3)}"


def _outputs(rows: Sequence[Prediction]) -> Outputs:
    """Stored predictions as the outputs of their model. Its likelihoods are what they state; none
    where one states none."""
    texts = [row.prediction for row in rows]
    try:
        return Outputs(texts, [float(row.extra["nll"]) for row in rows])
    except (KeyError, TypeError, ValueError):
        return Outputs(texts)

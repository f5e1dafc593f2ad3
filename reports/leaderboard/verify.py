"""Verifying a bundle: nothing in it is believed that can be worked out again.

References come from the data set itself, read or generated here; the bundle only says by a
fingerprint which data it means. Figures come from the outputs. The size of a model is counted on
a model built here. What remains is a claim (that the outputs are the model's, time, memory,
likelihoods, where the model looked) and is called one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from bench.errors import UsageError
from bench.hardware import count_parameters
from bench.store.cell import Cell
from bench.store.result import Result
from reports.leaderboard.bundle import (
    Bundle,
    Problem,
    parse,
    plain,
    predictions_of,
    record_of,
    shortened,
)
from reports.leaderboard.checks import (
    Checked,
    Planned,
    check_settings,
    check_trial,
    planned,
    rivals,
    well_formed,
)
from reports.leaderboard.rules import Rules
from tasks.base import Paths, Plan, TaskData


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

    def add(self, where: str, whats: Sequence[str] | Iterator[str]) -> None:
        self.problems += shortened(Problem(where, what) for what in whats)


def verify(bundle: Bundle, rules: Rules, paths: Paths) -> Verdict:
    """Check everything that can be checked.

    Raises UsageError where the data that the bundle means are not here.
    """
    found = _Findings()
    if bundle.manifest.rules != rules.version:
        found.notes[
            f"made for the rules {plain(bundle.manifest.rules)}, judged by {rules.version}"
        ] = None
    if bundle.manifest.kind not in rules.classes:
        kind = bundle.manifest.kind
        found.problems.append(Problem("", f"these rules have no class '{kind}'"))
        return Verdict(bundle, tuple(found.problems), tuple(found.notes), (), ())
    results = [
        one for hash in sorted(bundle.manifest.trials) for one in _record(bundle, hash, found)
    ]
    found.problems += missing_seeds([one.key for one in results], rules)
    by_data: dict[str, list[tuple[Result, Planned]]] = defaultdict(list)
    for result in results:
        for one in _planned(bundle, result, rules, found):
            by_data[_data_key(one)].append((result, one))
    for members in by_data.values():  # one data set in memory at a time
        _check_on_data(bundle, members, rules, paths, found)
    return Verdict(
        bundle,
        tuple(found.problems),
        tuple(found.notes),
        tuple(sorted(found.stated)),
        tuple(results),
    )


def _record(bundle: Bundle, hash: str, found: _Findings) -> Iterator[Result]:
    where = f"trial {hash[:12]}"
    content = bundle.read(record_of(hash))
    if not bundle.is_whole(record_of(hash), content):
        found.add(where, ["its record is not the one that the manifest names (SHA-256 differs)"])
    try:
        result = Result.from_json(parse(content))
        cell = well_formed(result.key, bundle.limits)
    except (ValueError, TypeError, AttributeError) as error:
        found.add(where, [f"not a valid record ({plain(_first_line(error))})"])
        return
    if cell.hash != hash:
        found.add(where, [f"holds the record of {plain(result.hash)[:12]}"])
    elif result.status != "done":
        found.add(named(cell), ["it did not finish"])
    else:
        yield result


def missing_seeds(cells: Sequence[Cell], rules: Rules) -> Iterator[Problem]:
    """Entries that lack a seed the rules want."""
    seeds: dict[str, set[int]] = defaultdict(set)
    for cell in cells:
        seeds[_without_seed(cell)].add(cell.seed)
    for name, have in seeds.items():
        lacking = [str(seed) for seed in rules.seeds if seed not in have]
        if lacking:
            wanted = ", ".join(map(str, rules.seeds))
            yield Problem(
                name, f"no result of seed {', '.join(lacking)}; every entry has seeds {wanted}"
            )


def _planned(bundle: Bundle, result: Result, rules: Rules, found: _Findings) -> Iterator[Planned]:
    cell, manifest = result.key, bundle.manifest
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


def _data_key(one: Planned) -> str:
    plan = one.plan
    options = plan.dataset_options.model_dump_json()
    return "\n".join([plan.cell.task, plan.cell.dataset, options, plan.settings.model_dump_json()])


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
    for result, one in members:
        where = named(one.cell)
        found.add(where, _parameters(bundle, result, one, data, sizes, rules, found))
        content = bundle.read(predictions_of(result.hash))
        if not bundle.is_whole(predictions_of(result.hash), content):
            found.add(
                where, ["its predictions are not those that the manifest names (SHA-256 differs)"]
            )
        checked: Checked = check_trial(result, plan, data, content, rules.limits)
        for whats in checked.problems:
            found.add(where, whats)
        found.stated |= checked.stated
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
        key = _without_seed(one.cell)
        if key not in sizes:
            sizes[key] = _size(one.plan, data)
        if stated != sizes[key]:
            yield f"it has {sizes[key]:,} parameters, not {stated:,}"
        stated = max(stated, sizes[key])
    else:
        origin = bundle.manifest.mechanisms[one.cell.attention].origin
        found.notes[
            f"{plain(one.cell.attention)} ({plain(origin)}) is not installed here: its parameters "
            "are stated, not counted"
        ] = None
    factor = rules.classes[bundle.manifest.kind].parameters
    if factor is None:
        return
    largest, name = _largest(one, data, sizes)
    if stated > factor * largest:
        yield (
            f"{stated:,} parameters; its class '{bundle.manifest.kind}' allows "
            f"{int(factor * largest):,} ({factor:g} times those of {name})"
        )


def _largest(one: Planned, data: TaskData, sizes: dict[str, int]) -> tuple[int, str]:
    """Parameters and name of the suite's largest model of that family in the same setting."""
    from tasks.plan import resolve

    cell, placement = one.plan.cell, one.plan.attention.placement
    found = []
    for rival in rivals(cell.task, cell.dataset, cell.budget, placement):
        key = f"rival {rival.label}"
        if key not in sizes:
            sizes[key] = _size(resolve(rival), data)
        found.append((sizes[key], f"{rival.attention} + {rival.score}"))
    return max(found)


def _size(plan: Plan, data: TaskData) -> int:
    try:
        with torch.device("meta"):  # shapes without memory: a stranger chose the sizes
            return count_parameters(plan.task.module(plan, data))
    except (NotImplementedError, RuntimeError):  # a mechanism that cannot be built that way
        return count_parameters(plan.task.module(plan, data))


def named(cell: Cell) -> str:
    """A cell for messages."""
    return f"{plain(cell.label)} [{plain(cell.budget)}]"


def _without_seed(cell: Cell) -> str:
    return named(cell.with_seed(0)).replace(" seed 0", "")


def _first_line(error: Exception) -> str:
    fields = getattr(error, "errors", None)
    if callable(fields):
        first = fields()[0]
        place, message = ".".join(map(str, first["loc"])), first["msg"]
        return f"{place}: {message}" if place else str(message).removeprefix("Value error, ")
    return str(error)


def paths_of(data_root: Path | None) -> Paths:
    """Where data sets are, and where prepared data are kept."""
    from bench.store.store import user_cache

    return Paths(data_root, user_cache() / "data")

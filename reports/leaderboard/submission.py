"""Submissions: the results of a store packed as a bundle, with what the rules will object to.

The bundle is a zip of JSON: no code, no pickle, no traces, no text of a data set. The same results
give the same bytes, and a store that has more results by now gives a new bundle in place of the
old one.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import bench
from bench.attention.registries import attentions
from bench.errors import UsageError
from bench.store.cell import Cell
from bench.store.result import Result, library_versions
from bench.store.store import Problem as Unreadable
from bench.store.store import Store
from reports.formats import plural
from reports.leaderboard.bundle import (
    NAME,
    SCHEMA,
    File,
    Manifest,
    Mechanism,
    Problem,
    Trial,
    examples_of,
    member_of,
    plain,
    record_of,
    title_problem,
)
from reports.leaderboard.checks import (
    check_settings,
    missing_seeds,
    named,
    open_summary,
    planned,
    without_seed,
)
from reports.leaderboard.examples import (
    TestSet,
    columns_of,
    find_test_sets,
    packed,
    packed_test_set,
)
from reports.leaderboard.plausibility import copies, impossible, impossible_share
from reports.leaderboard.rules import Class, Rules, field_errors
from tasks.base import datasets
from tasks.evaluation.scoring import Prediction
from tasks.plan import resolve

# Zip files date their members; this is the earliest date they know.
_DATE = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644 << 16
_UNIX_SYSTEM = 3


@dataclass(frozen=True)
class ResultFilter:
    """A selection of a store's results; an empty tuple selects all values of its axis."""

    tasks: tuple[str, ...] = ()
    attentions: tuple[str, ...] = ()
    scores: tuple[str, ...] = ()
    budgets: tuple[str, ...] = ()

    def takes(self, result: Result) -> bool:
        """Whether a result is selected."""
        cell = result.cell
        chosen = self.tasks, self.attentions, self.scores, self.budgets
        axes = cell.task, cell.attention, cell.score, cell.budget
        return all(not names or name in names for name, names in zip(axes, chosen, strict=True))


@dataclass(frozen=True)
class Submission:
    """A written bundle, its manifest and notes for its author."""

    path: Path
    manifest: Manifest
    notes: tuple[str, ...]


def submit(
    store: Store,
    target: Path,
    rules: Rules,
    *,
    name: str,
    kind: Class = "same",
    selected: ResultFilter | None = None,
) -> Submission:
    """Pack the finished results of the seeds that the rules ask for.

    Raises UsageError for a name that cannot stand on a board, where there are no results, where one
    has no predictions or its cell is not known here, and where the bundle cannot be written.
    """
    if problem := title_problem(name):
        raise UsageError(f"the name {problem}", where="--name", remedy="choose another with --name")
    selected = selected or ResultFilter()
    unreadable: list[Unreadable] = []
    found = [one for one in store.results(unreadable) if selected.takes(one)]
    done = [one for one in found if one.status == "done"]
    chosen = [one for one in done if one.cell_json["seed"] in rules.seeds]
    if not chosen:
        seeds = ", ".join(map(str, rules.seeds))
        why = f"{plural(len(done), 'finished result')} of other seeds" if done else "none finished"
        if unreadable:
            first = str(unreadable[0]).removeprefix(f"{store.address}/")
            why += f"; {plural(len(unreadable), 'record')} cannot be read, as {first}"
        raise UsageError(
            f"no finished result of seed {seeds} is chosen ({why})",
            where=store.address,
            remedy="`attnbench sweep --seeds` makes some",
        )
    manifest = _pack(store, chosen, target, name, kind, rules.version)
    left_out = {
        "that failed": len(found) - len(done),
        "of seeds that do not count": len(done) - len(chosen),
    }
    open_cells = missing_seeds([one.cell for one in chosen], rules)
    notes = [
        *(f"left out: {one}" for one in unreadable),
        *(f"left out: {plural(n, 'result')} {why}" for why, n in left_out.items() if n),
        *([open_summary(open_cells)] if open_cells else []),
        *(f"the rules will say: {one}" for one in _foreseen(store, chosen, manifest, rules)),
    ]
    return Submission(target, manifest, tuple(notes))


def _foreseen(
    store: Store, results: Sequence[Result], manifest: Manifest, rules: Rules
) -> Iterator[Problem]:
    """Yield the problems that verification will find and that can be told without the data."""
    versions: dict[str, set[str]] = defaultdict(set)
    for one in results:
        versions[without_seed(one.cell)].add(one.cell.data)
    for name, data in versions.items():
        if len(data) > 1:
            shown = ", ".join(sorted(one[:8] for one in data))
            yield Problem(name, f"results of {len(data)} different data ({shown}), not of one")
    outputs: list[tuple[Cell, list[Prediction]]] = []
    for one in results:
        cell = one.cell
        try:
            known = planned(cell, manifest.mechanisms.get(cell.attention))
        except UsageError as error:  # run by a version with other names or defaults
            yield Problem(named(cell), plain(error, 300))
            continue
        for what in check_settings(known, one.settings, manifest, rules):
            yield Problem(named(cell), what)
        for what in impossible(one, known.plan):
            yield Problem(named(cell), what)
        for what in impossible_share(one.cost, one.cost.parameters or 0):
            yield Problem(named(cell), what)
        outputs.append((cell, [Prediction(**row) for row in _predictions(store, one)]))
    yield from (one.problem for one in copies(outputs) if one.is_refused)


def _pack(
    store: Store, results: Sequence[Result], target: Path, name: str, kind: Class, rules: str
) -> Manifest:
    """Write the bundle; the same results give the same bytes. A file that was there stays until
    the new one is whole."""
    ordered = sorted(results, key=lambda one: one.hash)
    names = sorted({one.cell.attention for one in ordered})
    draft = target.with_name(f".{target.name}.tmp")
    try:
        with zipfile.ZipFile(draft, "w") as archive:
            files: dict[str, File] = {}
            trials: dict[str, Trial] = {}
            for one in ordered:
                rows = _predictions(store, one)
                test_sets = _test_sets(one, rows)
                for digest, test_set in test_sets.values():
                    if (member := member_of(digest)) not in files:
                        files[member] = _add(archive, member, packed_test_set(test_set))
                record, member = record_of(one.hash), examples_of(one.hash)
                files[record] = _add(archive, record, _pretty(one.to_json()))
                files[member] = _add(archive, member, _examples(one, rows, test_sets))
                digests = {subset: digest for subset, (digest, _) in test_sets.items()}
                trials[one.hash] = _trial(one, digests)
            manifest = Manifest(
                schema_version=SCHEMA,
                name=name,
                kind=kind,
                rules=rules,
                versions={"attention-bench": bench.__version__, **library_versions()},
                mechanisms={attention: _mechanism(attention) for attention in names},
                trials=trials,
                files=files,
            )
            _add(archive, NAME, _pretty(manifest.model_dump(mode="json", by_alias=True)))
        draft.replace(target)
    except ValidationError as error:
        raise UsageError(
            f"the bundle cannot be described ({plain(field_errors(error)[0], 300)})",
            where=str(target),
        ) from None
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(f"the bundle cannot be written ({reason})", where=str(target)) from None
    finally:
        draft.unlink(missing_ok=True)
    return manifest


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> File:
    info = zipfile.ZipInfo(name, _DATE)
    info.external_attr, info.create_system = _REGULAR_FILE, _UNIX_SYSTEM
    archive.writestr(info, content, zipfile.ZIP_DEFLATED, compresslevel=9)
    return File(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _predictions(store: Store, result: Result) -> list[dict[str, Any]]:
    try:
        rows = store.predictions(result.hash)
    except KeyError:
        rows = []
    if not rows:
        raise UsageError(
            "the store has no predictions of it, so nobody could check its figures",
            where=result.cell.label,
            remedy="run it again",
        )
    return rows


def _test_sets(result: Result, rows: list[dict[str, Any]]) -> dict[str, tuple[str, TestSet]]:
    try:
        return find_test_sets(rows)
    except (KeyError, TypeError, ValueError) as error:
        raise _unusable(result, error) from None


def _examples(result: Result, rows: list[dict[str, Any]], test_sets: Iterable[str]) -> bytes:
    """The member with a trial's examples; outputs are in it where they may be shared."""
    dataset = datasets(result.cell.task).get(result.cell.dataset)
    try:
        return packed(
            {
                subset: columns_of(
                    [row for row in rows if row["subset"] == subset],
                    with_outputs=dataset.shares_outputs(),
                )
                for subset in test_sets
            }
        )
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _unusable(result, error) from None


def _unusable(result: Result, error: Exception) -> UsageError:
    return UsageError(
        f"its predictions are unusable ({type(error).__name__}: {plain(error)})",
        where=result.cell.label,
        remedy="run it again",
    )


def _trial(result: Result, test_sets: Mapping[str, str]) -> Trial:
    try:
        resolve(result.cell)
    except UsageError as error:  # run by a version with other names
        raise UsageError(
            f"nothing here could run it ({error})",
            where=result.cell.label,
            remedy="choose others with --task, --attention or --score",
        ) from None
    return Trial(data=result.provenance.data_fingerprint, test_sets=tuple(test_sets.items()))


def _mechanism(name: str) -> Mechanism:
    kind = attentions.get(name)
    options = kind.Options().model_dump(mode="json")
    return Mechanism(
        placement=kind.placement, backbone=kind.backbone, origin=origin_of(kind), options=options
    )


def origin_of(kind: type) -> str:
    """Return the package that defines a class, with its version where it is known."""
    package = kind.__module__.partition(".")[0]
    if package == "bench":
        return f"attention-bench {bench.__version__}"
    for distribution in importlib.metadata.packages_distributions().get(package, []):
        return f"{distribution} {importlib.metadata.version(distribution)}"
    return package


def _pretty(record: Mapping[str, Any]) -> bytes:
    text = json.dumps(record, ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True)
    return text.encode() + b"\n"

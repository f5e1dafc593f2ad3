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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import bench
from bench.attention.registries import attentions
from bench.errors import UsageError
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
    open_bundle,
    plain,
    record_of,
    title_problem,
)
from reports.leaderboard.checks import open_summary, without_seed
from reports.leaderboard.examples import Columns, TestSet, packed, packed_test_set, tested
from reports.leaderboard.rules import Class, Rules, field_errors
from reports.leaderboard.verify import verify
from tasks.base import datasets
from tasks.plan import current_results, resolve

# Zip files date their members; this is the earliest date they know.
_DATE = (1980, 1, 1, 0, 0, 0)
_REGULAR_FILE = 0o100644 << 16
_UNIX_SYSTEM = 3


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
    selected: Mapping[str, Sequence[str]] | None = None,
) -> Submission:
    """Pack the finished results of the seeds that the rules ask for, without those of outdated
    settings.

    Args:
        selected: values of axes of the cell (`task`, `attention`, ...), of which results are taken;
            all where an axis has none.

    Raises UsageError for a name that cannot stand on a board, where there are no results, where one
    has no predictions or its cell is not known here, and where the bundle cannot be written.
    """
    if problem := title_problem(name):
        raise UsageError(f"the name {problem}", where="--name", remedy="choose another with --name")
    wanted = {axis: values for axis, values in (selected or {}).items() if values}
    unreadable: list[Unreadable] = []
    found = [
        one
        for one in current_results(store, unreadable)
        if all(getattr(one.cell, axis) in values for axis, values in wanted.items())
    ]
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
    notes = [
        *(f"left out: {one}" for one in unreadable),
        *(f"left out: {plural(n, 'result')} {why}" for why, n in left_out.items() if n),
        *_foreseen(target, rules),
    ]
    return Submission(target, manifest, tuple(notes))


def _foreseen(path: Path, rules: Rules) -> Iterator[str]:
    """Yield what verification will find in a bundle and can be told without the data."""
    try:
        verdict = verify(open_bundle(path, rules.limits), rules, None)
    except UsageError as error:
        yield f"the rules will say: {error.what}"
        return
    if verdict.open:
        yield open_summary(verdict.open)
    versions: dict[str, set[str]] = defaultdict(set)
    for one in verdict.results:
        versions[without_seed(one.cell)].add(one.cell.data)
    for name, data in versions.items():
        if len(data) > 1:
            shown = ", ".join(sorted(one[:8] for one in data))
            what = f"results of {len(data)} different data ({shown}), not of one"
            yield f"the rules will say: {Problem(name, what)}"
    yield from (f"the rules will say: {one}" for one in verdict.problems)


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
                _check_known(one)
                contents = _tested(store, one)
                for digest, test_set, _ in contents.values():
                    if (member := member_of(digest)) not in files:
                        files[member] = _add(archive, member, packed_test_set(test_set))
                record, member = record_of(one.hash), examples_of(one.hash)
                files[record] = _add(archive, record, _pretty(one.to_json()))
                columns = {subset: own for subset, (_, _, own) in contents.items()}
                files[member] = _add(archive, member, packed(columns))
                trials[one.hash] = Trial(
                    data=one.provenance.data_fingerprint,
                    test_sets=tuple((subset, digest) for subset, (digest, *_) in contents.items()),
                )
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


def _tested(store: Store, result: Result) -> dict[str, tuple[str, TestSet, Columns]]:
    """A trial's examples by test set; outputs are among them where they may be shared."""
    with_outputs = datasets(result.cell.task).get(result.cell.dataset).shares_outputs()
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
    try:
        return tested(rows, with_outputs=with_outputs)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"its predictions are unusable ({type(error).__name__}: {plain(error)})",
            where=result.cell.label,
            remedy="run it again",
        ) from None


def _check_known(result: Result) -> None:
    try:
        resolve(result.cell)
    except UsageError as error:  # run by a version with other names
        raise UsageError(
            f"nothing here could run it ({error})",
            where=result.cell.label,
            remedy="choose others with --task, --attention or --score",
        ) from None


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

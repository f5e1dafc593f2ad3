"""`attnbench data`: which data sets there are, downloading them, and whether they can be used."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.cli.options import add_data_root, add_settings, say, settings_of
from ablations.inputs import data_root_of
from bench.errors import UsageError, unknown_name
from bench.store.files import local_path

if TYPE_CHECKING:
    from tasks.base import Dataset

#: Problems that are listed unless --max-problems says otherwise; all are counted.
LISTED = 20


@dataclass(frozen=True)
class DatasetEntry:
    """A data set and the task it belongs to."""

    task: str
    name: str
    kind: type[Dataset]

    @property
    def label(self) -> str:
        return f"{self.task}/{self.name}"

    def places(self, root: Path) -> list[Path]:
        """Files and folders of it below a data root: enough to find it, not to say that it is
        complete."""
        card, own = self.kind.card, self.kind.places
        wanted = [root / place for place in (own if own or card is None else card.places())]
        there = [path for path in wanted if path.exists()]
        if own:  # any of them shows that it is there
            return there[:1]
        return there if there == wanted else []


def all_data_sets(task: str | None = None) -> list[DatasetEntry]:
    """Every data set, or those of one task. Raises UsageError for an unknown task."""
    from tasks.base import datasets, tasks

    if task is not None:
        tasks.get(task, where="--task")
    return [
        DatasetEntry(name, dataset, kind)
        for name in ([task] if task else tasks.names())
        for dataset, kind in datasets(name).items()
    ]


def find_data_set(name: str, task: str | None) -> DatasetEntry:
    """The data set of that name. Raises UsageError: none, or one in several tasks."""
    known = all_data_sets(task)
    found = [one for one in known if one.name == name]
    if not found:
        raise unknown_name("data set", name, {one.name for one in known})
    if len(found) > 1:
        raise UsageError(
            f"'{name}' is a data set of {', '.join(one.task for one in found)}",
            remedy="choose one with --task",
        )
    return found[0]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="data sets with licence, citation, where found")
    listing.add_argument("--task", metavar="TASK", help="only those of this task")
    listing.add_argument("--json", action="store_true", help="as a JSON list")
    get = actions.add_parser("download", help="download a data set from its publisher or the hub")
    get.add_argument(
        "--revision",
        metavar="R",
        default="",
        help="a commit or branch of the hub other than the pinned one; to use it, --set revision=R",
    )
    check = actions.add_parser("check", help="what is wrong with a data set, file and line")
    check.add_argument("--dataset", metavar="DATASET", help="another way to give NAME")
    add_settings(check, "an option of the data set; may be repeated")
    check.add_argument(
        "--max-problems",
        metavar="N",
        type=int,
        default=LISTED,
        help=f"list at most N problems; 0 lists all (default: {LISTED})",
    )
    for action, nargs in ((get, None), (check, "?")):
        action.add_argument(
            "name", metavar="NAME", nargs=nargs, help="name in `attnbench data list`"
        )
        action.add_argument(
            "--task", metavar="TASK", help="the task, where several have a data set of that name"
        )
    check.add_argument(
        "paths", metavar="PATH", nargs="*", help="folders to check (default: --data-root)"
    )
    for action in (listing, get, check):
        add_data_root(action)


def run(args: argparse.Namespace) -> int:
    """Always 0. Raises UsageError where a data set cannot be downloaded (nothing to get, no
    network, other contents than published, no space), or has problems (after naming them)."""
    return {"list": _list, "download": _download, "check": _check}[args.action](args)


def _list(args: argparse.Namespace) -> int:
    root = data_root_of(args.data_root)
    rows = [_row(found, root) for found in all_data_sets(args.task)]
    if args.json:
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
        return 0
    for row in rows:
        gold = ", gold alignments" if row["gold_alignments"] else ""
        sys.stdout.write(f"{row['task']}/{row['name']}: {row['summary']}{gold}\n")
        for key in ("licence", "citation", "found"):
            if row[key]:
                sys.stdout.write(f"  {key}: {row[key]}\n")
    return 0


def _row(found: DatasetEntry, root: Path | None) -> dict[str, Any]:
    card, embedded = found.kind.card, not found.kind.external
    places = [] if embedded or root is None else found.places(root)
    files = [file for path in places for file in (path, *path.rglob("*")) if file.is_file()]
    size = sum(file.stat().st_size for file in files) if places else None
    return {
        "task": found.task,
        "name": found.name,
        "summary": found.kind.summary,
        "licence": found.kind.licence,
        "citation": found.kind.citation,
        "gold_alignments": found.kind.gold,
        "embedded": embedded,
        # Without a data root nobody knows.
        "present": True if embedded else None if root is None else bool(places),
        "bytes": size,
        "download": None if card is None else {"from": card.source, "bytes": card.size or None},
        "found": "embedded" if embedded else _found(found, root, places, size or 0),
    }


def _found(found: DatasetEntry, root: Path | None, places: list[Path], size: int) -> str:
    """The place of a data set, or the command that would download it."""
    from tasks.data.download import size_text

    if places:
        return f"{places[0] if len(places) == 1 else places[0].parent} ({size_text(size)})"
    card = found.kind.card
    if card is None:
        wanted = " or ".join(found.kind.places)
        return f"looked for in --data-root{f': {wanted}' if wanted else ''}"
    amount = f" ({size_text(card.size)})" if card.size else ""
    target = root or "DIR"
    return f"not there; `attnbench data download {found.name} --data-root {target}`{amount}"


def _download(args: argparse.Namespace) -> int:
    from tasks.data.archives import Distribution, fetch_distribution
    from tasks.data.download import size_text
    from tasks.data.hub import Card, fetch

    found = find_data_set(args.name, args.task)
    card = found.kind.card
    if card is None:
        remedy = "it is read from files of your own or has no publisher we know; see docs/data.md"
        if not found.kind.external:
            remedy = "it is generated, use it as it is"
        raise UsageError(f"'{found.name}' cannot be downloaded", remedy=remedy)
    if isinstance(card, Card):
        card = card.at(args.revision)
    elif args.revision:
        raise UsageError(
            f"'{found.name}' is distributed in one version only",
            where="--revision",
            remedy="leave it out",
        )
    if args.data_root is None:
        raise UsageError(
            "no destination given",
            where="--data-root",
            remedy="name a folder, or set ATTNBENCH_DATA",
        )
    root = local_path(args.data_root, where="--data-root").absolute()
    if root.exists() and not root.is_dir():
        raise UsageError("not a directory", where=f"--data-root {args.data_root}")
    say(f"{found.label}: {found.kind.summary}")
    for key, value in {
        "from": card.source,
        "licence": found.kind.licence,
        "citation": found.kind.citation,
        "size": size_text(card.size) if card.size else "not known in advance",
        "to": str(root),
    }.items():
        if value:
            say(f"  {key}: {value}")
    if isinstance(card, Card):
        fetched = fetch(card, root, report=say)
    else:
        assert isinstance(card, Distribution), card
        fetched = fetch_distribution(card, root, report=say)
    if fetched.kept:
        say(f"{len(fetched.kept)} of {len(fetched.kept) + len(fetched.got)} files were there")
    say(f"complete; `attnbench data check {found.name} {root}` checks every line of it")
    return 0


def _check(args: argparse.Namespace) -> int:
    from tasks.plan import dataset_options

    name = args.name or args.dataset
    if name is None:
        raise UsageError("missing data set name", remedy="`attnbench data list` names them")
    if args.max_problems < 0:
        raise UsageError(f"must be ≥ 0, got {args.max_problems}", where="--max-problems")
    found = find_data_set(name, args.task)
    options = dataset_options(found.kind, settings_of(args.settings))
    roots = [_folder(path) for path in args.paths] or [data_root_of(args.data_root)]
    total = 0
    for root in roots:
        problems = found.kind.check(options, root)
        total += len(problems)
        lines = problems[: args.max_problems or None]
        if len(problems) > len(lines):
            lines.append(f"and {len(problems) - len(lines)} more; --max-problems 0 lists all")
        if not problems:
            corpus = found.kind.load(options, root)
            sizes = ", ".join(f"{name} {len(part):,}" for name, part in corpus.splits.items())
            lines = [f"{found.label}: can be used ({sizes})"]
            remarks = (*corpus.notes, *corpus.overlaps(), *corpus.remarks())
            lines += [f"  note: {note}" for note in remarks]
        say("\n".join(lines))
    if total:
        raise UsageError(
            f"{total} problem{'s' * (total > 1)}",
            where=found.label,
            remedy="fix the problems above and re-run",
        )
    return 0


def _folder(path: str) -> Path | None:
    given = local_path(path, where="PATH")
    if given.is_file():
        raise UsageError(
            "is a file", where=path, remedy="name its folder, and the file itself with --set"
        )
    if not given.exists():
        raise UsageError("no such folder", where=path)
    return data_root_of(path)

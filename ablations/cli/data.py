"""`attnbench data`: what data sets there are, getting them, and whether they can be used."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ablations.cli import download as data_get
from ablations.cli.download import Named, all_data_sets, find_data_set
from ablations.cli.options import add_data_root, data_root_of, settings_of
from bench.errors import UsageError

if TYPE_CHECKING:
    from bench.store.cell import Cell

#: Problems that are listed unless --most says otherwise; all are counted.
LISTED = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="data sets with licence, citation, where found")
    listing.add_argument("--task", metavar="T", help="only those of this task")
    listing.add_argument("--json", action="store_true", help="as a JSON list")
    add_data_root(listing)
    data_get.add_arguments(actions.add_parser("get", help="download a data set"))
    check = actions.add_parser("check", help="what is wrong with a data set, file and line")
    check.add_argument("name", metavar="NAME", nargs="?", help="as in `attnbench data list`")
    check.add_argument(
        "paths", metavar="PATH", nargs="*", help="folders to look in (default: --data-root)"
    )
    check.add_argument("--task", metavar="T", help="where several tasks have a data set so named")
    check.add_argument("--dataset", metavar="D", help="the same as NAME")
    check.add_argument(
        "--set",
        dest="settings",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="an option of the data set; may be repeated",
    )
    check.add_argument(
        "--most",
        metavar="N",
        type=int,
        default=LISTED,
        help=f"list so many problems, 0 lists all (default: {LISTED})",
    )
    add_data_root(check)


def run(args: argparse.Namespace) -> int:
    """0. Raises UsageError where a data set cannot be got, or has problems (after naming them)."""
    actions = {"list": _list, "get": data_get.run, "check": _check}
    return actions[args.action](args)


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


def _row(found: Named, root: Path | None) -> dict[str, Any]:
    card, embedded = found.kind.card, not found.kind.external
    places = [] if embedded or root is None else found.places(root)
    size = sum(map(_bytes, places)) if places else None
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


def _found(found: Named, root: Path | None, places: list[Path], size: int) -> str:
    """Where it is, or what would bring it there."""
    from tasks.data.download import size_text

    if places:
        return f"{places[0] if len(places) == 1 else places[0].parent} ({size_text(size)})"
    card = found.kind.card
    if card is None:
        wanted = " or ".join(found.kind.places)
        return f"looked for in --data-root{f': {wanted}' if wanted else ''}"
    amount = f" ({size_text(card.size)})" if card.size else ""
    target = root or "DIR"
    return f"not there; `attnbench data get {found.name} --dest {target}`{amount}"


def _bytes(path: Path) -> int:
    if path.is_dir():
        return sum(one.stat().st_size for one in path.rglob("*") if one.is_file())
    return path.stat().st_size


def _check(args: argparse.Namespace) -> int:
    name = args.name or args.dataset
    if name is None:
        raise UsageError("which data set?", remedy="`attnbench data list` names them")
    if args.most < 0:
        raise UsageError(f"{args.most} problems cannot be listed", where="--most")
    found = find_data_set(name, args.task)
    roots = [_folder(path) for path in args.paths] or [data_root_of(args.data_root)]
    total = 0
    for root in roots:
        problems = _problems(found, root, settings_of(args.settings))
        total += len(problems)
        shown = problems[: args.most or None]
        sys.stdout.writelines(f"{problem}\n" for problem in shown)
        if len(problems) > len(shown):
            sys.stdout.write(f"and {len(problems) - len(shown)} more; --most 0 lists all\n")
        if not problems:
            sys.stdout.writelines(f"{line}\n" for line in _praise(found, root, args))
    sys.stdout.flush()
    if total:
        raise UsageError(
            f"{total} problem{'s' * (total > 1)}", where=found.label, remedy="mend and check again"
        )
    return 0


def _praise(found: Named, root: Path | None, args: argparse.Namespace) -> list[str]:
    """That a data set can be used, its sizes, and what a report would note of it."""
    from tasks.plan import resolve

    plan = resolve(_cell(found, settings_of(args.settings)))
    corpus = plan.dataset.load(plan.dataset_options, root)
    parts = {"train": corpus.train, "validation": corpus.validation, **corpus.tests}
    sizes = ", ".join(f"{name} {len(part):,}" for name, part in parts.items())
    return [f"{found.label}: can be used ({sizes})", *(f"  note: {one}" for one in corpus.notes)]


def _folder(path: str) -> Path | None:
    if Path(path).is_file():
        raise UsageError(
            "is a file", where=path, remedy="name its folder, and the file itself with --set"
        )
    if not Path(path).exists():
        raise UsageError("no such folder", where=path)
    return data_root_of(path)


def _problems(found: Named, root: Path | None, options: dict[str, Any]) -> list[str]:
    from ablations.plan import find_problems

    return find_problems(_cell(found, options), root)


def _cell(found: Named, options: dict[str, Any]) -> Cell:
    """A cell that reads the data set."""
    from tasks.plan import make_cell

    # The attention does not matter to the data; `none` is refused by no task.
    return make_cell(found.task, "none", dataset=found.name, options=options)

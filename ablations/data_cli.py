"""`attnbench data`: what data sets there are, and whether those on this machine can be used."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from ablations.options import add_data_root, data_root_of, settings_of
from bench.errors import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="data sets with licence, citation, where found")
    listing.add_argument("--task", metavar="T", help="only those of this task")
    listing.add_argument("--json", action="store_true", help="as a JSON list")
    add_data_root(listing)
    check = actions.add_parser("check", help="what is wrong with a data set, file and line")
    check.add_argument("--task", metavar="T", required=True)
    check.add_argument("--dataset", metavar="D", required=True)
    check.add_argument(
        "--set",
        dest="settings",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        help="an option of the data set; may be repeated",
    )
    add_data_root(check)


def run(args: argparse.Namespace) -> int:
    """0; 1 if a checked data set has problems."""
    return _list(args) if args.action == "list" else _check(args)


def _list(args: argparse.Namespace) -> int:
    from tasks.registries import datasets, tasks

    names = tasks.names() if args.task is None else [args.task]
    for name in names:
        tasks.get(name, where="--task")
    rows = [_row(task, name, args) for task in names for name in datasets(task).names()]
    if args.json:
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
        return 0
    for row in rows:
        sys.stdout.write(f"{row['task']}/{row['name']}: {row['summary']}\n")
        for key in ("licence", "citation", "found"):
            if row[key]:
                sys.stdout.write(f"  {key}: {row[key]}\n")
    return 0


def _row(task: str, name: str, args: argparse.Namespace) -> dict[str, Any]:
    from tasks.registries import datasets

    source = datasets(task).get(name)
    return {
        "task": task,
        "name": name,
        "summary": source.summary,
        "licence": source.licence,
        "citation": source.citation,
        "gold_alignments": source.gold,
        "found": _found(task, name, args),
    }


def _found(task: str, name: str, args: argparse.Namespace) -> str:
    from tasks.registries import datasets

    if not datasets(task).get(name).external:
        return "embedded"
    root = data_root_of(args.data_root)
    if root is None:
        return "give --data-root to look for it"
    try:
        problems = _problems(task, name, {}, args)
    except UsageError as error:
        problems = [str(error)]
    return f"not usable: {problems[0]}" if problems else f"in {root}"


def _check(args: argparse.Namespace) -> int:
    problems = _problems(args.task, args.dataset, settings_of(args.settings), args)
    for problem in problems:
        sys.stdout.write(f"{problem}\n")
    if not problems:
        sys.stdout.write(f"{args.task}/{args.dataset}: can be used\n")
    return 1 if problems else 0


def _problems(
    task: str, dataset: str, options: dict[str, Any], args: argparse.Namespace
) -> list[str]:
    from ablations.preflight import find_problems
    from tasks.plan import make_cell

    # The attention does not matter to the data; `none` is refused by no task.
    cell = make_cell(task, "none", dataset=dataset, options=options)
    return find_problems(cell, data_root_of(args.data_root))

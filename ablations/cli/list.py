"""`attnbench list`: what can be benchmarked."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from bench.errors import UsageError, unknown_name

Row = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--json", action="store_true", help="as a JSON list")


def run(args: argparse.Namespace) -> int:
    """Print one line per entry. Raises UsageError for an unknown kind."""
    if args.kind not in KINDS:
        raise unknown_name("kind", args.kind, KINDS)
    rows = KINDS[args.kind]()
    if args.json:
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=1) + "\n")
    else:
        sys.stdout.write(table(rows))
    return 0


def table(rows: list[Row]) -> str:
    """Columns under their names; the last is as wide as it is."""
    if not rows:
        return "none\n"
    names = list(rows[0])
    lines = [names, *([_cell(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names) - 1)]
    return "".join(
        "  ".join([*map(str.ljust, line, widths), line[-1]]).rstrip() + "\n" for line in lines
    )


def _cell(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


def _tasks() -> list[Row]:
    from tasks.base import tasks

    return [
        {
            "name": name,
            "headline": task.headline,
            "higher_is_better": task.higher_is_better,
            "default_dataset": task.default_dataset,
            "summary": task.summary,
        }
        for name, task in tasks.items()
    ]


def _attentions() -> list[Row]:
    from bench.attention.registries import attentions

    return [
        {
            "name": name,
            "citation": kind.citation,
            "classic_score": None if kind.placement == "fixed" else kind.classic_score,
            "placement": kind.placement,
            "stepwise": kind.stepwise,
            "summary": kind.summary,
        }
        for name, kind in attentions.items()
    ]


def _scores() -> list[Row]:
    from bench.attention.registries import scores

    return [_described(name, thing) for name, thing in scores.items()]


def _normalisers() -> list[Row]:
    from bench.attention.registries import normalisers

    return [_described(name, thing) for name, thing in normalisers.items()]


def _described(name: str, thing: object) -> Row:
    # Plugins may leave these out; the first line of the docstring says as much.
    doc = (getattr(thing, "__doc__", None) or "").strip().split("\n")[0]
    return {
        "name": name,
        "citation": getattr(thing, "citation", ""),
        "summary": getattr(thing, "summary", "") or doc,
    }


def _datasets() -> list[Row]:
    from tasks.base import datasets, tasks

    return [
        {
            "task": task,
            "name": name,
            "external": source.external,
            "gold_alignments": source.gold,
            "licence": source.licence,
            "summary": source.summary,
        }
        for task in tasks.names()
        for name, source in datasets(task).items()
    ]


def _budgets() -> list[Row]:
    from tasks.settings import BUDGETS

    return [{"name": name, "summary": summary} for name, summary in BUDGETS.items()]


def _studies() -> list[Row]:
    from ablations.study import load_study, study_files

    rows = []
    for name in study_files():
        try:
            study = load_study(name)
        except UsageError as error:  # somebody else's
            rows.append({"name": name, "blocks": 0, "title": f"not usable: {error}"})
        else:
            rows.append({"name": name, "blocks": len(study.blocks), "title": study.title})
    return rows


KINDS: dict[str, Callable[[], list[Row]]] = {
    "tasks": _tasks,
    "attentions": _attentions,
    "scores": _scores,
    "normalisers": _normalisers,
    "datasets": _datasets,
    "budgets": _budgets,
    "studies": _studies,
}

"""`attnbench list`: what can be benchmarked."""

from __future__ import annotations

import argparse
import ast
import contextlib
import functools
import importlib.metadata
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.errors import UsageError, unknown_name

if TYPE_CHECKING:
    from bench.registry import Registry

Row = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", help=", ".join(KINDS))
    parser.add_argument("--json", action="store_true", help="as a JSON list")


def run(args: argparse.Namespace) -> int:
    """Print one line per entry. Raises UsageError for an unknown kind."""
    if args.kind not in KINDS:
        raise unknown_name("kind", args.kind, KINDS)
    rows = KINDS[args.kind]()
    text = json.dumps(rows, ensure_ascii=False, indent=1) + "\n" if args.json else table(rows)
    sys.stdout.write(text)
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

    columns = ("headline", "higher_is_better", "default_dataset", "summary")
    return [_row(name, task, columns) for name, task in tasks.items()]


def _row(name: str, thing: Any, attributes: Iterable[str]) -> Row:
    return {"name": name, **{one: getattr(thing, one, None) for one in attributes}}


def _attentions() -> list[Row]:
    from bench.attention.registries import NO_SCORE, attentions

    rows = declared(
        attentions, "citation", "classic_score", "backbone", "placement", "stepwise", "summary"
    )
    without = {"classic_score": None}
    return [row | without if row["classic_score"] == NO_SCORE else row for row in rows]


def _parts(kind: str) -> list[Row]:
    """Scores or normalisers."""
    from bench.attention import registries

    # Plugins may leave these out; the first line of the docstring says as much.
    return [
        {
            "name": row["name"],
            "citation": row["citation"] or "",
            "summary": row["summary"] or (row["__doc__"] or "").strip().split("\n")[0],
        }
        for row in declared(getattr(registries, kind), "citation", "summary", "__doc__")
    ]


def declared(registry: Registry[Any], *attributes: str) -> list[Row]:
    """Name and class attributes of every member of a registry; None for what a member lacks.

    Members are torch modules, and importing torch takes seconds. Without plugins their attributes
    are therefore read from the source, as long as they are literals there.
    """
    rows = None
    if registry.package and not importlib.metadata.entry_points(group=registry.group or ""):
        with contextlib.suppress(OSError, ValueError):  # no source there, or no literals
            rows = [
                {"name": name, **{key: ast.literal_eval(of.get(key, "None")) for key in attributes}}
                for name, of in _members(registry.package)
            ]
    if rows is None:
        rows = [_row(name, thing, attributes) for name, thing in registry.items()]
    return sorted(rows, key=lambda row: str(row["name"]))


def _members(package: str) -> Iterator[tuple[str, dict[str, ast.expr]]]:
    """Name and class attributes of what the modules of a package register: by
    `@registry.register(name)` above a class, or by `registry.register(name)(Class())`."""
    for path in _path(package).parent.glob("[!_]*.py"):
        module = f"{package}.{path.stem}"
        for node in _statements(module):
            match node:
                case ast.ClassDef(name=kind, decorator_list=calls):
                    pass
                case ast.Expr(ast.Call(call, [ast.Call(ast.Name(kind))])):
                    calls = [call]
                case _:
                    continue
            for call in calls:
                match call:
                    case ast.Call(ast.Attribute(attr="register"), [ast.Constant(str(name))]):
                        yield name, _class_attributes(module, kind)


def _class_attributes(module: str, name: str) -> dict[str, ast.expr]:
    """The attributes that a class of ours and its bases assign, as expressions; none for a class
    of other packages."""
    found: dict[str, ast.expr] = {}
    for node in _statements(module):
        match node:
            case ast.ImportFrom(str(source), names) if name in [one.name for one in names]:
                return _class_attributes(source, name) if source.startswith("bench.") else {}
            case ast.ClassDef(kind, bases, body=body) if kind == name:
                for base in bases:
                    if isinstance(base, ast.Name):
                        found |= _class_attributes(module, base.id)
                found["__doc__"] = ast.Constant(ast.get_docstring(node))  # is not inherited
                for statement in body:
                    match statement:
                        case ast.Assign([ast.Name(attribute)], value):
                            found[attribute] = value
                        case ast.AnnAssign(ast.Name(attribute), _, ast.expr() as value):
                            found[attribute] = value
    return found


@functools.cache
def _statements(module: str) -> list[ast.stmt]:
    return ast.parse(_path(module).read_text(encoding="utf-8")).body


def _path(module: str) -> Path:
    path = Path(__file__).parents[2].joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _datasets() -> list[Row]:
    from ablations.cli.data import all_data_sets

    return [
        {
            "task": one.task,
            "name": one.name,
            "external": one.kind.external,
            "gold_alignments": one.kind.gold,
            "licence": one.kind.licence,
            "summary": one.kind.summary,
        }
        for one in all_data_sets()
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
            rows.append({"name": name, "blocks": len(study.blocks), "title": study.title})
        except UsageError as error:  # somebody else's
            rows.append({"name": name, "blocks": 0, "title": f"not usable: {error}"})
    return rows


KINDS: dict[str, Callable[[], list[Row]]] = {
    "tasks": _tasks,
    "attentions": _attentions,
    "scores": functools.partial(_parts, "scores"),
    "normalisers": functools.partial(_parts, "normalisers"),
    "datasets": _datasets,
    "budgets": _budgets,
    "studies": _studies,
}

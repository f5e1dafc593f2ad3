"""Mistakes that every cell would stumble over, found before the first one starts."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterable
from pathlib import Path

from bench.cell import Cell
from bench.errors import UsageError
from tasks.plan import resolve


def check_data(cells: Iterable[Cell], data_root: Path | None) -> None:
    """Raises UsageError, naming file and line, where data of these cells cannot be used.

    Only data sets that lie outside the suite are looked at, each once per set of options.
    """
    seen = set()
    for cell in cells:
        plan = resolve(cell)
        key = (cell.task, cell.dataset, plan.dataset_options)
        if not plan.dataset.external or key in seen:
            continue
        seen.add(key)
        problems = find_problems(cell, data_root)
        if problems:
            command = f"attnbench data check {cell.dataset} --task {cell.task}"
            more = f"and {len(problems) - 1} more, see `{command}`" if len(problems) > 1 else ""
            raise UsageError(problems[0], remedy=more)


def find_problems(cell: Cell, data_root: Path | None) -> list[str]:
    """What is wrong with the data of a cell, a line each: the task's own check
    (`tasks/<task>/check.py`) if it has one, otherwise whether it can be loaded."""
    plan = resolve(cell)
    name = f"{plan.task.__module__.rpartition('.')[0]}.check"
    if importlib.util.find_spec(name) is not None:
        found: list[str] = importlib.import_module(name).check(
            cell.dataset, data_root, plan.dataset_options
        )
        return found
    try:
        plan.dataset.load(plan.dataset_options, data_root)
    except UsageError as error:
        return [str(error)]
    return []

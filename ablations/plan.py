"""The order in which cells are run: the longest first, so that no core waits at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean

from bench.attention.base import Placement
from bench.attention.registries import attentions
from bench.errors import UsageError
from bench.store.cell import Cell
from tasks.plan import resolve

#: Seconds of the families with the laptop budget, translation, relative to one another.
_GUESSES: Mapping[Placement, int] = {
    "transformer": 37,
    "convolutional": 30,
    "previous-state": 21,
    "current-state": 14,
    "fixed": 13,
}
#: The same for recurrent models whose decoder must go step by step.
_STEPWISE = 21


def longest_first(cells: Sequence[Cell], seconds: Mapping[str, float]) -> list[Cell]:
    """The cells by falling expectation of their time.

    Cells are expected to take what those of their kind took, else those of their family. Cells of
    neither come first, by a guess from how their decoder works. Equals keep their order.

    Args:
        seconds: what cells took, by `kind` and by `family`.
    """

    def expectation(cell: Cell) -> tuple[float, int]:
        known = seconds.get(kind(cell), seconds.get(family(cell), float("inf")))
        return known, _guess(cell)

    return sorted(cells, key=expectation, reverse=True)


def mean_seconds(taken: Iterable[tuple[Cell, float]]) -> dict[str, float]:
    """Mean seconds by kind and by family, from those of finished cells."""
    found: dict[str, list[float]] = {}
    for cell, seconds in taken:
        for name in (kind(cell), family(cell)):
            found.setdefault(name, []).append(seconds)
    return {name: fmean(several) for name, several in found.items()}


def _guess(cell: Cell) -> int:
    attention = attentions.get(cell.attention)
    looks_back = cell.score == "location-aware" or bool(cell.options.get("input_feeding"))
    guess = _GUESSES[attention.placement]
    return max(guess, _STEPWISE) if attention.stepwise or looks_back else guess


def kind(cell: Cell) -> str:
    """A name that cells share if they differ in nothing but their seed."""
    return cell.with_seed(0).hash


def family(cell: Cell) -> str:
    """A name that cells share if they have the same attention on the same data and budget."""
    return f"{cell.task} {cell.dataset} {cell.budget} {cell.attention}"


# Mistakes that every cell would stumble over, found before the first one starts.


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
    """What is wrong with the data of a cell, one line each."""
    plan = resolve(cell)
    return plan.dataset.check(plan.dataset_options, data_root)

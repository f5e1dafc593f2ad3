"""The order in which cells are run: the longest first, so that no core waits at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from bench.attention.base import Placement
from bench.attention.registries import attentions
from bench.cell import Cell

#: Seconds of the families with the laptop budget, translation, relative to one another.
_GUESSES: Mapping[Placement, int] = {
    "transformer": 37,
    "convolutional": 30,
    "before": 21,
    "after": 14,
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

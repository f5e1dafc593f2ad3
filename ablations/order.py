"""The order in which cells are run: the longest first, so that no core waits at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.attention.registries import attentions
from bench.cell import Cell


def longest_first(cells: Sequence[Cell], seconds: Mapping[str, float]) -> list[Cell]:
    """The cells by falling expectation of their time.

    Cells whose time is unknown are taken to be longer than the others, and those whose decoder
    must go step by step in training longest. Equals keep their order.

    Args:
        seconds: what cells took, by `kind`.
    """

    def expectation(cell: Cell) -> tuple[float, bool]:
        return seconds.get(kind(cell), float("inf")), _stepwise(cell)

    return sorted(cells, key=expectation, reverse=True)


def _stepwise(cell: Cell) -> bool:
    attention = attentions.get(cell.attention)
    looks_back = cell.score == "location-aware" or bool(cell.options.get("input_feeding"))
    return attention.stepwise or attention.placement == "before" or looks_back


def kind(cell: Cell) -> str:
    """A name that cells share if they differ in nothing but their seed."""
    return cell.with_seed(0).hash

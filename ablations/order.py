"""The order in which cells are run: the longest first, so that no core waits at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from bench.attention.registries import attentions
from bench.cell import Cell


def longest_first(cells: Sequence[Cell], seconds: Mapping[str, float]) -> list[Cell]:
    """The cells by falling expectation of their time.

    Cells whose time is unknown are taken to be longer than the others, the ones that train step
    by step longest. Equals keep their order.

    Args:
        seconds: what cells took, by `kind`.
    """

    def expectation(cell: Cell) -> tuple[float, bool]:
        return seconds.get(kind(cell), float("inf")), attentions.get(cell.attention).stepwise

    return sorted(cells, key=expectation, reverse=True)


def kind(cell: Cell) -> str:
    """A name that cells share if they differ in nothing but their seed."""
    return cell.with_seed(0).hash

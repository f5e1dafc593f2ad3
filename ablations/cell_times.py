"""What cells are expected to take: from those that the store holds, else from what budgets note."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

from bench.attention.registries import NO_SCORE, attentions, scores
from bench.errors import UsageError
from bench.store.cell import Cell
from tasks.base import datasets
from tasks.settings import budget_core_seconds

if TYPE_CHECKING:
    from bench.attention.base import Placement

#: Seconds of the families with the laptop budget, translation, relative to one another.
_GUESSES: Mapping[str, int] = {"transformer": 37, "convolutional": 30}
#: The same for recurrent models, by where they attend.
_RECURRENT: Mapping[Placement, int] = {"previous-state": 21, "current-state": 14, "fixed": 13}
#: The same for recurrent models whose decoder must go step by step.
_STEPWISE = 21


def longest_first(cells: Sequence[Cell], seconds: Mapping[str, float]) -> list[Cell]:
    """The cells by falling expectation of their time.

    Cells are expected to take what those of their kind took, else those of their family. Cells of
    neither come first, by a guess from how their decoder works. Equals keep their order.

    Args:
        seconds: what cells took, by `Cell.kind` and by `family`.
    """

    def expectation(cell: Cell) -> tuple[float, int]:
        attention = attentions.get(cell.attention)
        stepwise = (
            attention.stepwise
            or (cell.score != NO_SCORE and scores.get(cell.score).reads)
            or cell.options.get("input_feeding")
        )
        guess = _GUESSES.get(cell.backbone or attention.backbone, _RECURRENT[attention.placement])
        guess = max(guess, _STEPWISE if stepwise else 0)
        return seconds.get(cell.kind, seconds.get(family(cell), float("inf"))), guess

    return sorted(cells, key=expectation, reverse=True)


def mean_seconds(taken: Iterable[tuple[Cell, float]]) -> dict[str, float]:
    """Mean seconds by kind, family and neighbourhood, from those of finished cells."""
    found: defaultdict[str, list[float]] = defaultdict(list)
    for cell, seconds in taken:
        for name in _alike(cell):
            found[name].append(seconds)
    return {name: fmean(several) for name, several in found.items()}


def family(cell: Cell) -> str:
    """A name that cells share if they have the same attention on the same data and budget."""
    return f"{cell.task} {cell.dataset} {cell.budget} {cell.attention} {cell.backbone}"


def neighbourhood(cell: Cell) -> str:
    """A name that cells share if they have the same data, budget and backbone."""
    backbone = cell.backbone
    if not backbone:
        with contextlib.suppress(UsageError):  # a mechanism of a package that is not installed here
            backbone = attentions.get(cell.attention).backbone
    return f"{cell.task} {cell.dataset} {cell.budget} {backbone}"


def expected_seconds(cells: Iterable[Cell], means: Mapping[str, float]) -> dict[str, float]:
    """Seconds that cells like these took, by hash: of the same kind, else of the same family, else
    with the same data set, budget and backbone. Cells without any such are left out.

    Args:
        means: by `Cell.kind`, `family` and `neighbourhood`, as `mean_seconds` has them.
    """
    found = {cell.hash: [means[name] for name in _alike(cell) if name in means] for cell in cells}
    return {hash: likely[0] for hash, likely in found.items() if likely}


def noted_seconds(cell: Cell) -> float | None:
    """Seconds that its budget notes for a cell, on one core; None where it notes none."""
    with contextlib.suppress(UsageError):  # a data set that is not installed here
        dataset = datasets(cell.task).get(cell.dataset)
        return budget_core_seconds(dataset, cell.budget, cell.options.keys())
    return None


def _alike(cell: Cell) -> tuple[str, str, str]:
    return cell.kind, family(cell), neighbourhood(cell)


@dataclass(frozen=True)
class ExpectedCost:
    """What cells are expected to cost.

    Attributes:
        core_seconds: of those of which something is known.
        stored: number of cells known from results like them.
        noted: number of cells known from the notes beside budgets.
        unknown: number of cells of which nothing is known.
    """

    core_seconds: float
    stored: int
    noted: int
    unknown: int

    @classmethod
    def of(cls, cells: Iterable[Cell], expected: Mapping[str, float], cores: float) -> ExpectedCost:
        """Add up the cost of cells.

        Args:
            expected: seconds by hash (`expected_seconds`).
            cores: that a trial holds.
        """
        total, stored, noted, unknown = 0.0, 0, 0, 0
        for cell in cells:
            note = noted_seconds(cell)
            if cell.hash in expected:
                total += expected[cell.hash] * cores
                stored += 1
            elif note is not None:
                total += note
                noted += 1
            else:
                unknown += 1
        return cls(total, stored, noted, unknown)

    def __str__(self) -> str:
        """`expected: 1.2 core-hours (12 cells as like ones in the store, 2 not known)`."""
        counts = {
            "as like ones in the store": self.stored,
            "as noted for their budget": self.noted,
            "not known": self.unknown,
        }
        known = [f"{count} {how}" for how, count in counts.items() if count]
        if not self.stored + self.noted:
            return "expected core-hours: not known"
        hours = self.core_seconds / 3600
        shown = f"{hours:.2g}" if hours < 10 else f"{hours:,.0f}"
        return f"expected: {shown} core-hours ({', '.join(known)})"

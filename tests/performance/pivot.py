"""Figures whose names differ only in a length, as rows of one table with a column per length."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from measures.figure import Figure

#: "attention, length 512, concat: time", "local-m + general, source 512: decoding, a step"
LENGTH = re.compile(r", (?P<what>length|source) (?P<length>\d+)(?=[,:]|$)")
HEADS = {"length": "measured at length", "source": "measured at source length"}
NOT_MEASURED = "–"


@dataclass(frozen=True)
class Row:
    """The figures of one thing at several lengths; they share unit and note."""

    name: str
    figures: dict[int, Figure]


@dataclass(frozen=True)
class Pivot:
    """Rows over lengths of one kind, a key of `HEADS`."""

    what: str
    rows: tuple[Row, ...]

    @property
    def lengths(self) -> list[int]:
        """Those of all rows: some may lack some."""
        return sorted({length for row in self.rows for length in row.figures})


def pivoted(figures: Iterable[Figure]) -> tuple[list[Figure], list[Pivot]]:
    """The figures of no length or of one only, in their order, and tables of the others."""
    given = list(figures)
    found: dict[tuple[str, str, str, str], dict[int, Figure]] = {}
    for figure in given:
        match = LENGTH.search(figure.name)
        if match:
            name = LENGTH.sub("", figure.name, count=1)
            key = (match["what"], name, figure.unit, figure.note)
            found.setdefault(key, {})[int(match["length"])] = figure
    grown = {key: row for key, row in found.items() if len(row) > 1}
    inside = {figure.name for row in grown.values() for figure in row.values()}
    kinds = dict.fromkeys(what for what, *_ in grown)
    pivots = [
        Pivot(what, tuple(Row(key[1], row) for key, row in grown.items() if key[0] == what))
        for what in kinds
    ]
    return [figure for figure in given if figure.name not in inside], pivots


def pivot_lines(pivot: Pivot, shown: Callable[[Figure], str]) -> list[str]:
    """Lines of a Markdown table; `shown` writes a figure's cell."""
    lengths = pivot.lengths
    noted = any(_note(row) for row in pivot.rows)
    head = [HEADS[pivot.what], *map(str, lengths), "unit", *(["note"] if noted else [])]
    rule = ["---", *("--:" for _ in lengths), *("---" for _ in head[len(lengths) + 1 :])]
    lines = [_line(head), f"|{'|'.join(rule)}|"]
    for row in pivot.rows:
        cells = [
            shown(row.figures[length]) if length in row.figures else NOT_MEASURED
            for length in lengths
        ]
        unit = next(iter(row.figures.values())).unit
        lines.append(_line([row.name, *cells, unit, *([_note(row)] if noted else [])]))
    return lines


def _note(row: Row) -> str:
    return next(iter(row.figures.values())).note


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

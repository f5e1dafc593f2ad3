"""The overview table as one picture, for places that show pictures and no pages."""

from __future__ import annotations

import math
from textwrap import wrap

import numpy as np

from reports.tables import Column, Entry, Missing, Number, Table

_CELL = (1.75, 0.42)  # inches of an entry, wide and high
_MARGIN = (1.4, 1.0)
_MISSING = "0.55"


def overview_picture(table: Table) -> np.ndarray:
    """RGB pixels H,W,3 (uint8): rows and columns of the table, each figure with its tie group, the
    darker the better within its column; what is missing says so."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, columns = len(table.rows), len(table.columns)
    size = (_MARGIN[0] + _CELL[0] * columns, _MARGIN[1] + _CELL[1] * rows)
    figure = Figure(figsize=size, dpi=100, layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    entries = [list(row.entries) for row in table.rows]
    shades = np.array([[_shade(entry) for entry in row] for row in entries], dtype=float)
    axes.imshow(
        np.ma.masked_invalid(shades.reshape(rows, columns)),
        cmap="Blues",
        vmin=0,
        vmax=1.8,  # the darkest stays light enough for black figures
        aspect="auto",
    )
    for place, row in enumerate(entries):
        for column, entry in enumerate(row):
            colour = "black" if isinstance(entry, Number) else _MISSING
            axes.text(
                column, place, _told(entry), ha="center", va="center", fontsize=9, color=colour
            )
    axes.set_yticks(range(rows), [row.label for row in table.rows], fontsize=9)
    axes.set_xticks(range(columns), [_heading(one) for one in table.columns], fontsize=9)
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _heading(column: Column) -> str:
    """`probe, laptop budget`, `speech` and `PER, lower is better`, on lines of their own."""
    lines = [column.group, *column.label.split(": ", 1)]
    return "\n".join("\n".join(wrap(line, 22)) for line in lines if line)


def _shade(entry: Entry) -> float:
    return entry.shade if isinstance(entry, Number) and entry.shade is not None else math.nan


def _told(entry: Entry) -> str:
    if isinstance(entry, Number):
        return f"{entry.text}  ({entry.group})" if entry.group is not None else entry.text
    return entry.kind if isinstance(entry, Missing) else entry.text

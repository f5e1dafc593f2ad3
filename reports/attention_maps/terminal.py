"""The output of a model and its attention in a terminal: shaded cells, the darker the larger.

Source units stand below each other, output units side by side; maps that are wider than the
terminal go on below. Pictures and recordings have a small map for each output unit.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TextIO

import numpy as np

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

    from bench.store.result import Trace
    from tasks.processor import ModelOutput

#: From no weight to all of it; readable without colours.
SHADES = " ░▒▓█"
#: Most characters of a word in a map.
_LONGEST = 16
#: Most rows of a map of words; further words are left out, those with the least weight first.
_MOST_ROWS = 60
#: Columns of a map over time.
_MOMENTS = 60
_WIDTH = 100


def print_output(output: ModelOutput, file: TextIO) -> None:
    """Print text, figures, notes and attention."""
    from rich.console import Console

    width = None if file.isatty() else _WIDTH
    console = Console(file=file, width=width, highlight=False, markup=False, emoji=False)
    console.print(output.text or "(nothing)", style="bold")
    figures = ", ".join(f"{name} {value:.4g}" for name, value in output.figures.items())
    console.print(figures, style="dim")
    for note in output.notes:
        console.print(f"note: {note}")
    if output.trace is None:
        console.print("no attention: this model reads a summary of its input alone")
    elif output.trace.target:
        console.print()
        maps = {"words": _words, "grid": _grids, "frames": _times}
        maps[output.trace.kind](output.trace, console)


def shade(weight: float, width: int = 1) -> Text:
    """A cell of a map: so many characters wide, from empty to full by the square root of the
    weight, so that small ones are seen."""
    from rich.text import Text

    level = math.sqrt(min(max(weight, 0.0), 1.0))
    mark = SHADES[min(math.ceil(level * (len(SHADES) - 1)), len(SHADES) - 1)]
    return Text(mark * width, style="blue" if weight < 0.5 else "bold blue")


def _words(trace: Trace, console: Console) -> None:
    """Source words by output words."""
    from rich.table import Table

    kept = _heaviest_rows(trace.weights)
    side = [_cut(trace.source[row]) for row in kept]
    left = max(map(len, side)) + 1
    widths = [max(len(_cut(word)), 2) for word in trace.target]
    for part in _fitting(widths, console.width - left):
        table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
        table.add_column("", no_wrap=True, min_width=left - 1)
        for column in part:
            head = _cut(trace.target[column])
            table.add_column(head, no_wrap=True, min_width=widths[column])
        for name, row in zip(side, kept, strict=True):
            cells = [shade(trace.weights[column, row], widths[column]) for column in part]
            table.add_row(name, *cells)
        console.print(table)
        console.print()
    hidden = len(trace.source) - len(kept)
    if hidden:
        console.print(f"{hidden} source words with less weight are left out; --page shows all")


def _heaviest_rows(weights: np.ndarray) -> list[int]:
    """At most `_MOST_ROWS` source units in their order: those that get the largest weights."""
    largest = weights.max(axis=0)
    chosen = np.argsort(-largest, kind="stable")[:_MOST_ROWS]
    return sorted(chosen.tolist())


def _fitting(widths: list[int], room: int) -> list[list[int]]:
    """Columns in parts that fit into so many characters, each of them at least one."""
    parts: list[list[int]] = [[]]
    used = 0
    for column, width in enumerate(widths):
        used += width + 1
        if used > room and parts[-1]:
            parts.append([])
            used = width + 1
        parts[-1].append(column)
    return parts


def _grids(trace: Trace, console: Console) -> None:
    """A small picture of the grid for each output word."""
    from rich.columns import Columns
    from rich.text import Text

    rows, columns = trace.extra["grid"]
    maps: list[RenderableType] = []
    for word, weights in zip(trace.target, trace.weights, strict=True):
        scaled = weights / max(float(weights.max()), 1e-9)
        grid = scaled.reshape(rows, columns)
        lines = [Text("").join(shade(weight, 2) for weight in row) for row in grid]
        maps.append(Text("\n").join([Text(_cut(word), style="bold"), *lines, Text("")]))
    console.print(Columns(maps, padding=(0, 2)))
    console.print(f"each word's map of {rows} x {columns} cells is scaled to its largest weight")


def _times(trace: Trace, console: Console) -> None:
    """A line over time for each output unit."""
    from rich.text import Text

    size = trace.weights.shape[1]
    width = min(size, _MOMENTS, max(10, console.width - _LONGEST - 2))
    borders = np.arange(width) * size // width
    sums = np.add.reduceat(trace.weights, borders, axis=1)
    left = max(len(_cut(unit)) for unit in trace.target)
    for unit, row in zip(trace.target, sums, strict=True):
        bar = Text("").join(shade(float(weight)) for weight in row)
        console.print(Text(f"{_cut(unit):>{left}} ").append("|").append(bar).append("|"))
    end = f"{trace.extra['seconds']:.2f} s"
    console.print(" " * (left + 2) + "0 s" + end.rjust(max(width - 3, len(end) + 1)))


def _cut(unit: str) -> str:
    return unit if len(unit) <= _LONGEST else unit[: _LONGEST - 1] + "…"

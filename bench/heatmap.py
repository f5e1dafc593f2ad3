"""A quick picture of one trace, for tracking while a trial runs. Reports draw finer ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from bench.trace import Trace

_LABELLED = 60  # more units than this cannot be read beside a picture


def heatmap(trace: Trace) -> np.ndarray:
    """RGB pixels H,W,3 (uint8): rows are target units, columns source units, gold is framed."""
    # The figure is built without pyplot, which would keep every figure in a registry of its own.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows, columns = trace.weights.shape
    figure = Figure(figsize=_size(rows, columns), dpi=72, layout="tight")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(trace.weights, cmap="Greys", vmin=0.0, vmax=1.0, aspect="auto")
    axes.set_xticks(*_ticks(trace.source), rotation=90)
    axes.set_yticks(*_ticks(trace.target))
    if trace.gold:
        target, source = np.array(trace.gold).T
        axes.scatter(source, target, marker="s", s=60, facecolors="none", edgecolors="tab:red")
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def _size(rows: int, columns: int) -> tuple[float, float]:
    """Width and height in inches: a quarter of an inch a unit, within what a page shows."""
    return 1.5 + 0.25 * min(columns, _LABELLED), 1.5 + 0.25 * min(rows, _LABELLED)


def _ticks(units: tuple[str, ...]) -> tuple[list[int], list[str]]:
    if len(units) > _LABELLED:
        return [], []
    return list(range(len(units))), list(units)

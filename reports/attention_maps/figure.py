"""One attention map as a static figure for papers, SVG, PDF or PNG, by matplotlib.

In a notebook or a script:

    from reports.attention_maps.figure import find_trace, save_map

    trace = find_trace(store, result.hash, "test/3", mode="forced")
    save_map(trace, "map.pdf", part="layer 1 head 2")
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from PIL import Image

from bench.errors import UsageError, unknown_name
from bench.store.result import Mode, Trace
from reports.attention_maps.sources import (
    aspect_of,
    boxes_of,
    gold_of,
    grid_of,
    photo,
    segments_of,
    spans_of,
    spectrogram,
    times_of,
)

if TYPE_CHECKING:
    from bench.store.store import Store

GOLD = "#c2410c"
_CELL = 0.17  # inches of a weight
_PHOTO = 1.2  # inches of a photo
_COLUMNS = 5  # photos in a row
_VEIL = 0.82  # how dark a photo gets where nothing is looked at


def find_trace(store: Store, hash: str, example: str, mode: Mode = "free") -> Trace:
    """Find the attention of a stored result on an example.

    Args:
        hash: that of the result.
        example: test set and name, as the explorer's address has them: `test/3`.

    Raises UsageError where the store keeps no such trace.
    """
    try:
        traces = [Trace.from_json(row) for row in store.traces(hash)]
    except KeyError:
        raise UsageError(f"the store keeps no traces of {hash[:12]}", where=store.address) from None
    for trace in traces:
        if (f"{trace.subset}/{trace.example}", trace.mode) == (example, mode):
            return trace
    known = sorted({f"{one.subset}/{one.example}" for one in traces if one.mode == mode})
    raise unknown_name("example", example, known)


def save_map(trace: Trace, path: str | Path, *, part: str | None = None, gold: bool = True) -> None:
    """Write an attention map to a file; the ending says the format (.svg, .pdf, .png).

    Args:
        part: a single head and layer of the trace; by default the mean over all.
        gold: whether the gold alignment is framed, where it is known.

    Raises UsageError for a part that the trace does not have.
    """
    # Text stays text, and the same map gives the same file.
    settings: Any = {"svg.fonttype": "none", "pdf.fonttype": 42, "svg.hashsalt": "attention"}
    undated: Any = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with rc_context(settings):
        metadata = undated.get(Path(path).suffix)
        draw_map(trace, part=part, gold=gold).savefig(
            path, bbox_inches="tight", metadata=metadata, dpi=200
        )


@rc_context({"text.parse_math": False})
def draw_map(trace: Trace, *, part: str | None = None, gold: bool = True) -> Figure:
    """Draw an attention map as a figure: a matrix of words, rows under a spectrogram, or a photo
    for each word. A trace without what its picture needs is drawn as a matrix.

    Args and errors are those of `save_map`.
    """
    if part is not None and part not in trace.parts:
        raise unknown_name("part", part, list(trace.parts))
    weights = trace.weights if part is None else trace.parts[part]
    if trace.kind == "grid" and (grid := grid_of(trace)) and (picture := photo(trace)):
        return _photos(trace, weights.reshape(-1, *grid), picture, gold=gold)
    if trace.kind == "frames" and times_of(trace):
        return _sound(trace, weights, gold=gold)
    figure = _figure(_CELL * len(trace.source) + 1, _CELL * len(trace.target) + 1)
    axes = figure.add_subplot()
    _matrix(axes, trace, weights, gold=gold)
    axes.set_aspect("equal")
    axes.set_xticks(range(len(trace.source)), list(map(str, trace.source)), rotation=60, ha="left")
    axes.xaxis.tick_top()
    for start, _ in segments_of(trace)[1:]:
        axes.axvline(start - 0.5, color="0.4", linewidth=1)
    return figure


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _matrix(axes: Axes, trace: Trace, weights: np.ndarray, *, gold: bool) -> None:
    """Draw weights T,S with the names of the target units; signed weights in two colours."""
    most = max(0.25, float(np.abs(weights).max(initial=0.0)))
    signed = bool((weights < 0).any())
    colours, least = ("RdBu", -most) if signed else ("Blues", 0.0)
    axes.imshow(weights, cmap=colours, vmin=least, vmax=most, aspect="auto", interpolation="none")
    axes.set_yticks(range(len(trace.target)), list(map(str, trace.target)))
    axes.tick_params(length=0, labelsize=8)
    links = (gold_of(trace) if gold else None) or []
    for t, row in enumerate(links):
        for s in row:
            corner = s - 0.5, t - 0.5
            axes.add_patch(Rectangle(corner, 1, 1, fill=False, edgecolor=GOLD, linewidth=1))


def _photos(trace: Trace, weights: np.ndarray, picture: bytes, *, gold: bool) -> Figure:
    """Draw a photo for every word, dark where it does not look (Xu 2015, figure 3).

    Args:
        weights: T,R,C over the grid.
    """
    pixels = np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))
    rows = -(-len(weights) // _COLUMNS)
    height = _PHOTO / aspect_of(trace)
    figure = _figure(_PHOTO * min(_COLUMNS, len(weights)), (height + 0.25) * rows)
    places = figure.subplots(rows, min(_COLUMNS, len(weights)), squeeze=False).ravel()
    boxes = boxes_of(trace) if gold else None
    for place in places:
        place.set_axis_off()
    for t, (axes, own) in enumerate(zip(places, np.maximum(weights, 0), strict=False)):
        axes.set_title(trace.target[t], fontsize=8, pad=2)
        axes.imshow(pixels, extent=(0, 1, 1, 0), aspect="auto")
        veil = np.zeros((*own.shape, 4))
        veil[..., 3] = _VEIL * (1 - own / own.max()) if own.max() > 0 else 0
        axes.imshow(veil, extent=(0, 1, 1, 0), aspect="auto", interpolation="none")
        for left, top, right, bottom in boxes[t] if boxes else ():
            size = right - left, bottom - top
            axes.add_patch(Rectangle((left, top), *size, fill=False, edgecolor=GOLD, linewidth=1.2))
    return figure


def _sound(trace: Trace, weights: np.ndarray, *, gold: bool) -> Figure:
    """Draw the spectrogram with the true spans over a row of weights for each unit (Chorowski 2015,
    figure 2)."""
    times, levels = times_of(trace), spectrogram(trace)
    assert times is not None, "only traces that say when their positions are have this figure"
    heights = [1.2, max(0.4, 0.16 * len(trace.target))]
    figure = _figure(5.0, sum(heights) + 0.5)
    above, below = figure.subplots(2, 1, sharex=False, height_ratios=heights)
    if levels is not None:
        extent = 0, times.seconds, 0, 1
        above.imshow(levels, cmap="Greys", origin="lower", aspect="auto", extent=extent)
    above.set_xlim(0, times.seconds)
    above.set_xlabel("seconds", fontsize=8)
    above.tick_params(labelsize=8)
    above.set_yticks([])
    for unit, begin, end in spans_of(trace) if gold else ():
        above.axvline(begin, color=GOLD, linewidth=0.8)
        above.axvline(end, color=GOLD, linewidth=0.8)
        above.text((begin + end) / 2, 1.04, unit, ha="center", fontsize=8)
    _matrix(below, trace, weights, gold=gold)
    # Positions in seconds: the first one's centre may lie beside the beginning.
    below.set_xlim(*(np.array([0, times.seconds]) - times.offset) / times.step)
    below.set_xticks([])
    return figure

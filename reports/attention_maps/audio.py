"""Attention maps of sound: the spectrogram, the true spans of the units, a row of weights a unit.

As in Chorowski 2015 (figure 2), with the spans from the data beside them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np

from bench.store.result import Trace
from reports.attention_maps.drawing import (
    Box,
    Drawing,
    Group,
    Lines,
    Picture,
    Shape,
    Text,
    shortened,
    text_width,
)
from reports.attention_maps.image import explorer, explorer_row, gold_of, grey, ink, spectrogram

_WIDTH = 310.0  # of the time axis; with its labels it fits a phone
_SOUND, _RIBBON, _AXIS = 74.0, 16.0, 26.0
_TALLEST, _LOWEST = 16.0, 5.0
_HIGHEST = 520.0  # of all rows together, where they can be that low
_FULL = 0.25  # weights are black from here on, so that even ones stay pale
_SIZE = 11.0
_LABEL = 14


def sound_map(trace: Trace, title: str) -> Drawing | None:
    """Draw the attention of one utterance; return None where the trace has no times of its
    positions. Every unit is a row of the page's explorer, as in heat maps of words."""
    times = _times(trace)
    if times is None:
        return None
    step, offset, seconds = times
    names = [shortened(unit, _LABEL) for unit in trace.target]
    left = max((text_width(name, _SIZE) for name in names), default=0.0) + 8
    scale = _WIDTH / seconds
    before = max(0.0, step / 2 - offset) * scale  # the first position may begin before the sound
    left += before
    ends = offset + (len(trace.source) - 0.5) * step  # and the last end after it
    over = max(14.0, (ends - seconds) * scale + 2)
    bands = spectrogram(trace.extra.get("picture"))
    shapes: list[Shape] = []
    top = 2.0
    if bands is not None:
        # Energy is dark, and the lowest band lies at the bottom.
        picture = grey(255 - bands[::-1])
        shapes.append(Picture(left, top, _WIDTH, _SOUND, picture, shared=True, ink=True))
        top += _SOUND + 3
    spans = _spans(trace)
    if spans:
        shapes += _ribbon(spans, left, top, scale)
        top += _RIBBON + 3
    height = min(_TALLEST, max(_LOWEST, _HIGHEST / max(1, len(names))))
    below = top + height * len(names)
    shapes.append(Box(left, top, _WIDTH, below - top, "surface"))
    shapes.append(
        Picture(
            left + (offset - step / 2) * scale,
            top,
            step * scale * len(trace.source),
            below - top,
            ink(trace.weights, max(float(trace.weights.max(initial=0.0)), _FULL)),
            ink=True,
            crisp=True,
        )
    )
    labelled = range(0, len(names), max(1, math.ceil(11 / height)))
    rows = [
        _row(
            trace,
            t,
            names[t] if t in labelled else "",
            Box(left, top + t * height, _WIDTH, height, "ground", opacity=0.0),
            (before, over),
            times,
        )
        for t in range(len(names))
    ]
    shapes.append(explorer(rows, title))
    shapes += _axis(left, below, seconds, scale)
    return Drawing(
        left + _WIDTH + over,
        below + _AXIS,
        tuple(shapes),
        title,
        attributes={"class": "map sound", "role": "group", "data-cell": "0"},
    )


def sound_description(trace: Trace, t: int) -> str:
    """A unit's attention in words: `aa: most at 0.32 s (0.41); 78 % of its weight lies in its
    span, 0.30 to 0.42 s`."""
    weights, times = trace.weights[t], _times(trace)
    assert times is not None, "only traces that say when their positions are are described"
    step, offset, _ = times
    place = int(np.argmax(weights))
    gold = gold_of(trace, t)
    told = f"{trace.target[t]}: most at {offset + place * step:.2f} s ({weights[place]:.2f})"
    if not gold:
        return told
    begin, end = offset + (min(gold) - 0.5) * step, offset + (max(gold) + 0.5) * step
    share = 100 * float(weights[gold].sum())
    return (
        f"{told}; {share:.0f} % of its weight lies in its span, "
        f"{max(begin, 0.0):.2f} to {end:.2f} s"
    )


def _row(
    trace: Trace,
    t: int,
    name: str,
    place: Box,
    beyond: tuple[float, float],
    times: tuple[float, float, float],
) -> Group:
    """Draw the row of one unit.

    Args:
        place: from the sound's beginning to its end.
        beyond: how far weights reach out on either side of it.
    """
    step, offset, seconds = times
    scale = _WIDTH / seconds
    left, top, height = place.x, place.y, place.height
    start, width = left - beyond[0], beyond[0] + _WIDTH + beyond[1]
    shapes: list[Shape] = []
    if name:
        shapes.append(Text(start - 6, top + height / 2 + 3.8, name, anchor="end", size=_SIZE))
    for first, last in _runs(trace, t):
        begin = left + max(0.0, offset + (first - 0.5) * step) * scale
        end = left + min(seconds, offset + (last + 0.5) * step) * scale
        frame = Box(begin, top + 0.8, max(end - begin, 2.0), height - 1.6, "gold", outline=1.5)
        shapes.append(frame)
    # Lies over the weights of a row that is not read while another one is.
    veil = Box(start, top, width, height, "ground", opacity=0.0)
    shapes.append(Group((veil,), attributes={"class": "veil"}))
    shapes.append(Box(0, top, start + width, height, "ground", opacity=0.0))
    return explorer_row(trace, t, shapes, sound_description(trace, t))


def _runs(trace: Trace, t: int) -> Iterator[tuple[int, int]]:
    """Yield the first and the last position of every unbroken run of gold positions."""
    places = sorted({s for s in gold_of(trace, t) if s >= 0})
    for _, run in groupby(enumerate(places), key=lambda pair: pair[1] - pair[0]):
        members = [place for _, place in run]
        yield members[0], members[-1]


def _ribbon(
    spans: Sequence[tuple[str, float, float]], left: float, top: float, scale: float
) -> list[Shape]:
    """Draw the units of the reference, each as wide as it lasts."""
    shapes: list[Shape] = [
        Box(
            left + begin * scale, top, (end - begin) * scale, _RIBBON, "cell-high", 0.55, title=unit
        )
        for unit, begin, end in spans
    ]
    edges = sorted({edge for _, begin, end in spans for edge in (begin, end)})
    lines = tuple(
        ((left + edge * scale, top), (left + edge * scale, top + _RIBBON)) for edge in edges
    )
    shapes.append(Lines(lines, "ground", 1.0))
    for unit, begin, end in spans:
        if text_width(unit, _SIZE - 1) <= (end - begin) * scale - 1:
            middle = left + (begin + end) / 2 * scale
            shapes.append(Text(middle, top + 12, unit, anchor="middle", size=_SIZE - 1))
    return shapes


def _axis(left: float, top: float, seconds: float, scale: float) -> list[Shape]:
    step = next(size for size in (0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 3600) if seconds / size <= 8)
    marks = np.arange(0, seconds + 1e-9, step)
    lines = tuple(((left + x * scale, top), (left + x * scale, top + 4)) for x in marks)
    shapes: list[Shape] = [Lines(lines, "context")]
    for place, x in enumerate(marks):
        unit = " s" if place == len(marks) - 1 else ""
        shapes.append(
            Text(left + x * scale, top + 16, f"{x:g}{unit}", "muted", "middle", _SIZE - 1)
        )
    return shapes


def _times(trace: Trace) -> tuple[float, float, float] | None:
    """Return the seconds between two positions, the time of the first one's center, and the
    whole duration."""
    found = [trace.extra.get(name) for name in ("step", "offset", "seconds")]
    numbers = [float(one) for one in found if isinstance(one, int | float) and math.isfinite(one)]
    if len(numbers) < 3 or numbers[0] <= 0 or numbers[2] <= 0 or numbers[2] > 24 * 3600:
        return None
    return numbers[0], numbers[1], numbers[2]


def _spans(trace: Trace) -> list[tuple[str, float, float]]:
    """Return the reference's units with their true spans in seconds; empty where none are known."""
    spans, units = trace.extra.get("spans"), trace.extra.get("units")
    if not isinstance(spans, list) or not isinstance(units, list) or len(spans) != len(units):
        return []
    try:
        return [
            (str(unit), float(begin), float(end))
            for unit, (begin, end) in zip(units, spans, strict=True)
            if 0 <= begin < end
        ]
    except (TypeError, ValueError):
        return []

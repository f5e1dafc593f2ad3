"""What a trace knows of its source beside the units: a photo and its grid, times and sound, the
borders of sentences, and the gold alignment.

A store may come from elsewhere, so nothing is taken for granted: whatever is malformed counts as
not known.
"""

from __future__ import annotations

import base64
import binascii
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bench.store.result import Trace

#: A photo of a trace may be so large, in bytes and along a side; others are not shown.
LARGEST, LONGEST = 64 * 1024, 512
#: A sound may have so many samples, and so many of them a second.
SAMPLES, RATES = 1 << 19, (1_000, 48_000)
_ASPECT = (0.5, 2.0)  # flatter and steeper photos are squeezed to these

#: Left, top, right and bottom of a box, relative to the photo's sides.
Corners = tuple[float, float, float, float]


def gold_of(trace: Trace) -> list[list[int]] | None:
    """Return the source positions that each target unit is linked to by the gold alignment; None
    where nothing is known of this example, or nothing of what was written."""
    targets, sources = range(len(trace.target)), range(len(trace.source))
    rows: list[set[int]] = [set() for _ in targets]
    for t, s in trace.gold or ():
        if t in targets and s in sources:
            rows[t].add(s)
    return [sorted(row) for row in rows] if any(rows) else None


def segments_of(trace: Trace) -> list[tuple[int, int]]:
    """Return the bounds of every segment (sentence) of the source as (first unit, end); empty
    where there is only one or none is known."""
    given = trace.extra.get("segments")
    if not isinstance(given, list) or not 0 < len(given) <= len(trace.source):
        return []
    starts = [s for s in range(len(given)) if s == 0 or given[s] != given[s - 1]]
    if len(starts) < 2:
        return []
    return list(zip(starts, [*starts[1:], len(given)], strict=True))


def photo(trace: Trace) -> bytes | None:
    """Return the JPEG or PNG file that a trace carries in base64, or None where it has none that
    can be shown."""
    from PIL import Image

    text = trace.extra.get("picture")
    if not isinstance(text, str) or len(text) > 2 * LARGEST:
        return None
    try:
        data = base64.b64decode(text, validate=True)
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            if len(data) > LARGEST or max(image.size) > LONGEST:
                return None
            image.load()
    except (OSError, ValueError, SyntaxError, binascii.Error):  # pillow raises all of these
        return None
    return data


def grid_of(trace: Trace) -> tuple[int, int] | None:
    """Return the rows and columns of the grid that the source positions are."""
    match trace.extra.get("grid"):
        case [int(rows), int(columns)] if min(rows, columns) >= 1:
            return (rows, columns) if rows * columns == len(trace.source) else None
    return None


def aspect_of(trace: Trace) -> float:
    """Return a photo's width by its height."""
    aspect = trace.extra.get("aspect", 1.0)
    known = isinstance(aspect, int | float) and aspect > 0
    return min(max(float(aspect), _ASPECT[0]), _ASPECT[1]) if known else 1.0


def boxes_of(trace: Trace) -> list[list[Corners]] | None:
    """Return the boxes of the phrase that each word belongs to; None where no box is known."""
    found: list[list[Corners]] = [[] for _ in trace.target]
    for phrase in trace.extra.get("phrases") or ():
        try:
            boxes = [_corners(box) for box in phrase["boxes"]]
            words = range(int(phrase["start"]), min(int(phrase["end"]), len(found)))
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        for t in words:
            if t >= 0:
                found[t] += boxes
    return found if any(found) else None


def _corners(box: Sequence[float]) -> Corners:
    if not all(math.isfinite(edge) for edge in box):
        raise ValueError(f"a box has no such edge: {box}")
    left, top, right, bottom = (min(max(float(edge), 0.0), 1.0) for edge in box)
    return left, top, max(left, right), max(top, bottom)


@dataclass(frozen=True)
class Times:
    """When the positions of a sound are: `step` seconds apart, the first one's centre at `offset`;
    the sound lasts `seconds`."""

    step: float
    offset: float
    seconds: float


def times_of(trace: Trace) -> Times | None:
    found = [trace.extra.get(name) for name in ("step", "offset", "seconds")]
    numbers = [float(one) for one in found if isinstance(one, int | float) and math.isfinite(one)]
    if len(numbers) < 3 or numbers[0] <= 0 or not 0 < numbers[2] <= 24 * 3600:
        return None
    return Times(*numbers)


def spans_of(trace: Trace) -> list[tuple[str, float, float]]:
    """Return the reference's units with their true spans in seconds; empty where none are known."""
    spans, units = trace.extra.get("spans"), trace.extra.get("units")
    if not isinstance(spans, list) or not isinstance(units, list) or len(spans) != len(units):
        return []
    try:
        return [
            (str(unit), float(begin), float(end))
            for unit, (begin, end) in zip(units, spans, strict=True)
            if 0 <= begin < end < math.inf
        ]
    except (TypeError, ValueError):
        return []


def spectrogram(trace: Trace) -> np.ndarray | None:
    """Grey levels F,S (uint8, the lowest band first) from the rows that a speech trace carries,
    two hexadecimal digits a column; None where they are no such picture."""
    rows = trace.extra.get("picture")
    if not isinstance(rows, list) or not 0 < len(rows) <= LONGEST:
        return None
    try:
        bands = [np.frombuffer(bytes.fromhex(row), dtype=np.uint8) for row in rows]
    except (TypeError, ValueError):
        return None
    sizes = {len(band) for band in bands}
    if len(sizes) != 1 or not 0 < sizes.pop() <= 4 * LONGEST:
        return None
    return np.stack(bands)


def sound_of(trace: Trace) -> tuple[int, str] | None:
    """Return the sound that a speech trace carries: samples a second, and the samples as base64 of
    8-bit mu-law codes (0 to 255, silence between 127 and 128)."""
    match trace.extra.get("sound"):
        case {"rate": int(rate), "samples": str(samples)}:
            pass
        case _:
            return None
    if not RATES[0] <= rate <= RATES[1] or not 0 < len(samples) <= SAMPLES * 4 // 3 + 4:
        return None
    try:
        base64.b64decode(samples, validate=True)
    except (ValueError, binascii.Error):
        return None
    return rate, samples

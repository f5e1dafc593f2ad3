"""The page of `attnbench try`: one input, what a model made of it, and where it looked.

One file without scripts that loads nothing: picture and sound stand in it.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bench.store.files import draft_of
from reports.pages import template_environment

if TYPE_CHECKING:
    from bench.store.cell import Cell
    from bench.store.result import Trace
    from tasks.processor import ModelOutput

#: Pixels along the longer side of a picture in the page.
_PICTURE = 480
#: Columns of a map over time.
_MOMENTS = 200


def write_page(path: Path, cell: Cell, given: Mapping[str, Any], output: ModelOutput) -> None:
    """Write the page to a file, whole or not at all. Raises OSError."""
    draft = draft_of(path)
    try:
        draft.write_text(page(cell, given, output), encoding="utf-8")
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def page(cell: Cell, given: Mapping[str, Any], output: ModelOutput) -> str:
    """The HTML of the page. Files of `given` are read."""
    trace = output.trace
    matrices = (
        {}
        if trace is None or not trace.target
        else {"all heads and layers": trace.weights, **trace.parts}
    )
    return (
        template_environment()
        .get_template("try.html.j2")
        .render(
            cell=cell,
            texts={kind: value for kind, value in given.items() if kind in ("text", "hypothesis")},
            picture=_picture(Path(given["picture"])) if "picture" in given else None,
            sound=_sound(Path(given["sound"])) if "sound" in given else None,
            output=output,
            trace=trace,
            maps={name: _rows(trace, weights) for name, weights in matrices.items() if trace},
        )
    )


def _rows(trace: Trace, weights: np.ndarray) -> list[tuple[str, list[tuple[float, str]]]]:
    """For each output unit its cells: opacity, and what to say of each. Maps over a grid and over
    time are scaled to the largest weight of their row, those over time have no more columns than
    a page."""
    source = list(trace.source)
    if trace.kind == "frames" and len(source) > _MOMENTS:
        borders = np.arange(_MOMENTS) * len(source) // _MOMENTS
        weights = np.add.reduceat(weights, borders, axis=1)
        source = [source[border] for border in borders]
    scale = np.ones((len(weights), 1))
    if trace.kind != "words":
        scale = np.maximum(weights.max(axis=1, keepdims=True), 1e-9)
    shown = np.clip(weights / scale, 0, 1)
    return [
        (
            unit,
            [
                (round(float(opacity), 3), f"{unit} – {name}: {weight:.3f}")
                for opacity, name, weight in zip(opacities, source, row, strict=True)
            ],
        )
        for unit, opacities, row in zip(trace.target, shown, weights, strict=True)
    ]


def _picture(path: Path) -> dict[str, Any]:
    """A picture as a data URL, small enough for a page, upright, with its size."""
    from tasks.captioning.pictures import picture_shape, read_picture

    width, height = picture_shape(path)
    size = _PICTURE / max(width, height)
    shape = max(1, round(width * size)), max(1, round(height * size))
    from PIL import Image

    image = Image.fromarray(read_picture(path, _PICTURE)).resize(shape)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88)
    return {"url": _url("image/jpeg", file.getvalue()), "width": shape[0], "height": shape[1]}


def _sound(path: Path) -> str:
    """A recording as a data URL that browsers play: 16-bit WAV at 16 kHz."""
    import soundfile

    from tasks.speech.audio import read_sound

    rate, file = 16_000, io.BytesIO()
    soundfile.write(file, np.clip(read_sound(path, rate), -1, 1), rate, "PCM_16", format="WAV")
    return _url("audio/wav", file.getvalue())


def _url(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"

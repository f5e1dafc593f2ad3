"""Traces of pictures: weights over the grid, the regions of phrases, and the picture itself."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from bench.trace import Trace
from tasks.captioning.corpus import Caption, Phrase, Picture
from tasks.captioning.regions import Grid, Regions, matched_phrases
from tasks.decoding import Read, Written

#: Pixels along each side of a picture in a trace; a few kB.
THUMBNAIL = 64


@dataclass(frozen=True)
class Looked:
    """What was looked at in one picture, writing freely and reading a reference.

    Attributes:
        pixels: H,W,3 uint8.
        words: those written, one a row of the weights.
    """

    picture: Picture
    pixels: np.ndarray
    grid: Grid
    words: tuple[str, ...]
    written: Written
    reference: Caption
    read: Read


def traces(seen: Looked, subset: str) -> list[Trace]:
    """The free trace and the forced one. `extra` has the grid's shape, the phrases with their
    boxes (relative coordinates) and the picture as base64 of a JPEG file."""
    assert seen.written.weights is not None and seen.read.weights is not None
    rows, columns = seen.grid
    found = matched_phrases(seen.words, seen.picture.captions)
    common = {
        "example": seen.picture.id,
        "subset": subset,
        "kind": "grid",
        "source": tuple(f"{r + 1}.{c + 1}" for r in range(rows) for c in range(columns)),
    }
    picture = thumbnail(seen.pixels)
    width, height = seen.picture.original or (seen.pixels.shape[1], seen.pixels.shape[0])

    def extra(phrases: Sequence[Phrase]) -> dict[str, object]:
        return {
            "grid": list(seen.grid),
            "picture": picture,
            "aspect": round(width / height, 4),
            "phrases": [
                {
                    "start": phrase.start,
                    "end": phrase.end,
                    "boxes": [_corners(phrase, number) for number in range(len(phrase.boxes))],
                }
                for phrase in phrases
            ],
        }

    known = any(caption.phrases for caption in seen.picture.captions)
    return [
        Trace(
            **common,  # type: ignore[arg-type]
            mode="free",
            target=seen.words,
            weights=seen.written.weights,
            parts=seen.written.parts,
            gold=_cells(found, seen.grid) if known else None,
            extra=extra(found),
        ),
        Trace(
            **common,  # type: ignore[arg-type]
            mode="forced",
            target=seen.reference.words,
            weights=seen.read.weights,
            parts=seen.read.parts,
            gold=_cells(seen.reference.phrases, seen.grid) if known else None,
            extra=extra(seen.reference.phrases),
        ),
    ]


def thumbnail(pixels: np.ndarray) -> str:
    """H,W,3 uint8 as a small JPEG file in base64."""
    image = Image.fromarray(pixels)
    if max(image.size) > THUMBNAIL:
        image = image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return base64.b64encode(file.getvalue()).decode("ascii")


def _corners(phrase: Phrase, number: int) -> list[float]:
    box = phrase.boxes[number]
    return [round(edge, 4) for edge in (box.left, box.top, box.right, box.bottom)]


def _cells(phrases: Sequence[Phrase], grid: Grid) -> tuple[tuple[int, int], ...]:
    """Pairs of a word of a phrase and a cell of its region."""
    if not phrases:
        return ()
    regions = Regions.of([phrase.boxes for phrase in phrases], grid)
    return tuple(
        (word, int(cell))
        for phrase, possible in zip(phrases, regions.possible, strict=True)
        for word in range(phrase.start, phrase.end)
        for cell in np.flatnonzero(possible)
    )

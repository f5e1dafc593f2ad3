"""Picture files to pixels: every kind of file becomes 8-bit RGB of one size.

Ordinary pictures (8 bits a channel) keep their values. Transparent places show white. A file of
several pictures (animations, pages) gives its first.

Grey levels of more than 8 bits and floating-point ones say nowhere which value is white. It is the
smallest usual one (`USUAL`) that no picture of the data set exceeds, so that brightness can be
compared between pictures; values beyond all of them, and below 0, are spread from the lowest to the
highest of the data set. A picture that would come out all but black, white or of one grey is spread
over its own values instead.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Literal

import numpy as np

from bench.errors import UsageError
from tasks.data.cache import file_digest
from tasks.data.files import require_regular
from tasks.data.media import quiet_decoders

if TYPE_CHECKING:
    from PIL.Image import Image as PillowImage

#: How values that are not 8-bit are counted together.
Depth = Literal["integer", "float"]
#: The values that are black and white, by depth.
Ranges = Mapping[Depth, tuple[float, float]]
#: Values that usually are white: of 8, 10, 12, 14 and 16 bits; of floating-point pictures.
USUAL: Mapping[Depth, tuple[float, ...]] = {
    "integer": (255.0, 1023.0, 4095.0, 16383.0, 65535.0),
    "float": (1.0, 255.0, 65535.0),
}
#: Grey levels of 256 at either end that look black or white, and so many that look the same.
_DARK, _FEW = 16, 4
# Pictures that agree in this many pixels a side are the same picture.
THUMBNAIL = 32
# Longest reason quoted from a decoder.
_REASON = 160


@dataclass(frozen=True)
class Look:
    """What a close look at a picture shows.

    Attributes:
        digest: equal for the same picture.
        flat: whether all of it has one colour.
        frames: number of pictures in the file.
    """

    digest: bytes
    flat: bool
    frames: int


def read_picture(path: Path, size: int, ranges: Ranges | None = None) -> np.ndarray:
    """One picture file as RGB, size,size,3 uint8, squashed where it is not square.

    Args:
        ranges: those of its data set (`grey_ranges`); its own by default.

    Raises UsageError: missing, not a picture, truncated, absurdly large, with values that are not
    finite.
    """
    from PIL import Image

    with _opened(path) as image:
        return _squashed(_upright_rgb(image, ranges), size, Image.Resampling.BICUBIC)


def picture_shape(path: Path) -> tuple[int, int]:
    """Width and height of a picture as it is looked at. Raises as `read_picture` does."""
    with _opened(path) as image:
        return _upright_rgb(image, None).size


def look_at(path: Path, ranges: tuple[tuple[Depth, tuple[float, float]], ...]) -> Look:
    """Look closely at a picture file. Raises as `read_picture` does."""
    return _look(path, ranges, file_digest(path) if path.is_file() else "")


@lru_cache(maxsize=1 << 16)  # problems and notes of a data set both ask
def _look(path: Path, ranges: tuple[tuple[Depth, tuple[float, float]], ...], content: str) -> Look:
    from PIL import Image

    with _opened(path) as image:
        frames = 1
        # A photo's file may hold its preview besides; that is no further picture.
        if image.format != "MPO":
            with contextlib.suppress(Exception):  # the first picture may be good all the same
                frames = int(getattr(image, "n_frames", 1))
            image.seek(0)
        whole = _upright_rgb(image, dict(ranges))
        small = _squashed(whole, THUMBNAIL, Image.Resampling.BICUBIC)
        flat = all(low == high for low, high in whole.getextrema())  # type: ignore[misc]
        return Look(hashlib.sha256(small.tobytes()).digest(), flat, frames)


def grey_ranges(paths: Iterable[Path]) -> dict[Depth, tuple[float, float]]:
    """The values that are black and white in the pictures of a data set, for those that are not
    8-bit. Pictures that cannot be read are passed over."""
    found: dict[Depth, tuple[float, float]] = {}
    for path in paths:
        with contextlib.suppress(UsageError), _opened(path) as image:
            if (depth := _depth(image)) is not None:
                values = _values(image)
                low, high = found.get(depth, (np.inf, -np.inf))
                found[depth] = min(low, float(values.min())), max(high, float(values.max()))
    return {depth: _usual_range(depth, *bounds) for depth, bounds in found.items()}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[PillowImage]:
    """A picture file, read as far as its header. Whatever a broken file drives Pillow to inside
    becomes a UsageError; nothing is written to the terminal."""
    from PIL import Image

    require_regular(path)
    try:
        # Of sizes that could exhaust the memory Pillow makes an error, of half that a warning.
        with quiet_decoders(), Image.open(path) as image:
            yield image
    except UsageError:
        raise
    except Exception as error:
        kind = str(error).replace(f"'{path}'", "").strip() or type(error).__name__
        raise UsageError(
            f"cannot be read as a picture ({shorten(kind, _REASON)})",
            where=str(path),
            remedy="replace or remove it",
        ) from None


def _depth(image: PillowImage) -> Depth | None:
    """How the values of a picture are counted; None for 8 bits and fewer."""
    if image.mode == "F":
        return "float"
    return "integer" if image.mode.startswith("I") else None


def _values(image: PillowImage) -> np.ndarray:
    """H,W float64. Raises ValueError where some are not finite."""
    values = np.asarray(image, dtype=np.float64)
    if not np.isfinite(values).all():
        raise ValueError("it holds values that are not finite")
    return values


def _usual_range(depth: Depth, low: float, high: float) -> tuple[float, float]:
    white = next((white for white in USUAL[depth] if high <= white), None)
    return (low, high) if low < 0 or white is None else (0.0, white)


def _upright_rgb(image: PillowImage, ranges: Ranges | None) -> PillowImage:
    """The whole picture as RGB, turned as its camera was held."""
    from PIL import Image, ImageOps

    image.load()
    depth = _depth(image)
    with contextlib.suppress(Exception):  # without usable EXIF data it stands as it is
        image = ImageOps.exif_transpose(image)
    if depth is not None:
        values = _values(image)
        opaque = values != image.info.get("transparency", np.nan)
        shown = values[opaque] if opaque.any() else values
        own = _usual_range(depth, float(shown.min()), float(shown.max()))
        grey = _scaled(values, (ranges or {}).get(depth, own))
        if shown.max() > shown.min() and not _visible(grey[opaque]):
            grey = _scaled(values, (float(shown.min()), float(shown.max())))
        grey[~opaque] = 255
        return Image.fromarray(grey).convert("RGB")
    if not image.has_transparency_data:
        return image.convert("RGB")
    key = image.info.get("transparency")
    if isinstance(key, tuple) and max(key) > 255:  # of 16-bit colours, of which 8 bits were read
        image.info["transparency"] = tuple(value >> 8 for value in key)
    clear = image.convert("RGBA")
    white = Image.new("RGBA", clear.size, "white")
    return Image.alpha_composite(white, clear).convert("RGB")


def _scaled(values: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    """Values as grey levels, uint8."""
    low, high = bounds
    levels = (values - low) * (255 / (high - low)) if high > low else np.zeros_like(values)
    return np.rint(levels.clip(0, 255)).astype(np.uint8)


def _visible(grey: np.ndarray) -> bool:
    """Whether differences between grey levels (at least one) can be seen."""
    low, high = int(grey.min(initial=255)), int(grey.max(initial=0))
    return high - low >= _FEW and high >= _DARK and low <= 255 - _DARK


def _squashed(image: PillowImage, size: int, method: int) -> np.ndarray:
    return np.asarray(image.resize((size, size), method))

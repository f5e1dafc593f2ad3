"""Bitmaps for drawings: small PNG files made of arrays, and photos taken from traces."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Mapping
from typing import Any

import numpy as np

#: A photo of a trace may be so large, in bytes and along a side; others are not shown.
LARGEST, LONGEST = 64 * 1024, 512
#: How dark a photo gets where nothing is looked at.
_VEIL = 0.82


def photo(extra: Mapping[str, Any]) -> bytes | None:
    """The photo that a trace carries, or None where it has none that can be shown.

    Args:
        extra: that of the trace; `picture` is a JPEG or PNG file in base64.
    """
    from PIL import Image

    text = extra.get("picture")
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


def veil(weights: np.ndarray) -> bytes:
    """A dark veil over whatever is not looked at, as a PNG file.

    Args:
        weights: R,C of one word over the grid. The largest weight lies open, so that even
            weights veil nothing.
    """
    most = float(weights.max(initial=0.0))
    share = weights / most if most > 0 else np.ones_like(weights)
    return _black(_VEIL * (1 - share))


def ink(weights: np.ndarray, most: float) -> bytes:
    """Weights R,C as black ink on nothing, fullest at `most`, as a PNG file."""
    return _black(np.clip(weights / most, 0.0, 1.0) if most > 0 else np.zeros_like(weights))


def spectrogram(rows: object) -> np.ndarray | None:
    """Grey levels F,S from the rows that a speech trace carries (two hexadecimal digits a
    column, the lowest band first), or None where they are no such picture."""
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


def grey(levels: np.ndarray) -> bytes:
    """Grey levels R,C (uint8) as a PNG file."""
    from PIL import Image

    return _png(Image.fromarray(levels))


def _black(opacity: np.ndarray) -> bytes:
    from PIL import Image

    alpha = np.rint(np.clip(opacity, 0, 1) * 255).astype(np.uint8)
    return _png(Image.fromarray(np.stack([np.zeros_like(alpha), alpha], axis=-1), mode="LA"))


def _png(image: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, "PNG", optimize=True)
    return file.getvalue()

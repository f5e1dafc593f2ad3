"""Bitmaps in PDF files: JPEG files as they are, anything else as plain samples."""

from __future__ import annotations

import io
import zlib

from PIL import Image

from reports.drawing import Picture


class Bitmaps:
    """The bitmaps of a page: each once, by the name that the page calls it.

    Args:
        first: number of the first PDF object that is free.
    """

    def __init__(self, first: int) -> None:
        self.next = first
        self.objects: list[bytes] = []
        self._numbers: dict[str, int] = {}

    def name(self, picture: Picture) -> str:
        """What the page calls it."""
        if picture.key not in self._numbers:
            self._numbers[picture.key] = self._add(picture.data, smooth=not picture.crisp)
        return f"I{self._numbers[picture.key]}"

    @property
    def resources(self) -> str:
        """The entries of the page's dictionary of bitmaps."""
        return " ".join(f"/I{number} {number} 0 R" for number in self._numbers.values())

    def _add(self, data: bytes, *, smooth: bool) -> int:
        blend = "/Interpolate true " if smooth else ""
        with Image.open(io.BytesIO(data)) as image:
            if image.format == "JPEG" and image.mode in ("RGB", "L"):
                return self._object(image, data, "/DCTDecode", image.mode, blend)
            whole = image.convert("RGBA")
        opacity = whole.getchannel("A")
        mask = self._samples(opacity, blend)
        return self._samples(whole.convert("RGB"), f"{blend}/SMask {mask} 0 R ")

    def _samples(self, image: Image.Image, more: str) -> int:
        data = zlib.compress(image.tobytes(), 9)
        return self._object(image, data, "/FlateDecode", image.mode, more)

    def _object(self, image: Image.Image, data: bytes, filter: str, mode: str, more: str) -> int:
        space = "/DeviceGray" if mode == "L" else "/DeviceRGB"
        head = (
            f"<< /Type /XObject /Subtype /Image /Width {image.width} /Height {image.height} "
            f"/ColorSpace {space} /BitsPerComponent 8 {more}"
            f"/Filter {filter} /Length {len(data)} >>\nstream\n"
        )
        self.objects.append(head.encode() + data + b"\nendstream")
        self.next += 1
        return self.next - 1

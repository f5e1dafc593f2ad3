"""Text files as sequences of lines, mapped into memory rather than read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any, overload

import numpy as np

from bench.errors import UsageError

# Bytes looked at together when a file is searched for line ends or checked.
CHUNK = 1 << 25
_BOM = "\ufeff"


class TextLines(Sequence[str]):
    """The lines of a UTF-8 file, without their ends. Only line ends are split at, so lines with
    unusual separators inside stay whole; a byte order mark is dropped.

    Raises:
        UsageError: the file is missing, a folder, unreadable or empty. Bytes that are not UTF-8
            are found by `check`, or where the line is asked for.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            size = path.stat().st_size
            if path.is_dir():
                raise UsageError("is a folder, not a text file", where=str(path))
            if size == 0:
                raise UsageError(
                    "the file is empty", where=str(path), remedy="one sentence a line is expected"
                )
            self._bytes = np.memmap(path, dtype=np.uint8, mode="r")
        except FileNotFoundError:
            raise UsageError(
                "no such file", where=str(path), remedy="check --data-root and the file's name"
            ) from None
        except OSError as error:
            raise UsageError(f"cannot be read ({error.strerror})", where=str(path)) from None
        self._starts = self._line_starts()

    def _line_starts(self) -> np.ndarray:
        """Where lines start, and at last where the file ends as if with a line end. N+1"""
        ends = [
            np.flatnonzero(self._bytes[low : low + CHUNK] == ord("\n")) + low
            for low in range(0, len(self._bytes), CHUNK)
        ]
        starts = np.concatenate([[0], *ends]).astype(np.int64)
        starts[1:] += 1
        if starts[-1] < len(self._bytes):
            starts = np.append(starts, len(self._bytes) + 1)
        return starts

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[line] for line in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self._decode(index % len(self), index % len(self) + 1)[0]

    def __iter__(self) -> Iterator[str]:
        for low, high in self._chunks():
            yield from self._decode(low, high)

    def check(self) -> None:
        """Decode everything. Raises UsageError naming the first line that is not UTF-8."""
        for low, high in self._chunks():
            self._decode(low, high)

    def _chunks(self) -> Iterator[tuple[int, int]]:
        low = 0
        while low < len(self):
            high = int(np.searchsorted(self._starts, self._starts[low] + CHUNK, side="right")) - 1
            high = min(max(high, low + 1), len(self))
            yield low, high
            low = high

    def _decode(self, low: int, high: int) -> list[str]:
        data = self._bytes[self._starts[low] : self._starts[high] - 1].tobytes()
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            line = low + data.count(b"\n", 0, error.start)
            column = error.start - (data.rfind(b"\n", 0, error.start) + 1)
            raise UsageError(
                f"not UTF-8 (byte 0x{data[error.start]:02x} at position {column + 1} of the line)",
                where=f"{self.path}:{line + 1}",
                remedy="convert the file to UTF-8",
            ) from None
        lines = [line.removesuffix("\r") for line in text.split("\n")]
        if low == 0:
            lines[0] = lines[0].removeprefix(_BOM)
        return lines


# Texts taken from something else as they are asked for.


@dataclass(frozen=True)
class Texts(Sequence[str]):
    """One text of every item; none is kept.

    Attributes:
        side: the attribute of an item that is its text ("source_text", ...).
    """

    items: Sequence[Any]
    side: str

    def __len__(self) -> int:
        return len(self.items)

    def __iter__(self) -> Iterator[str]:
        return map(attrgetter(self.side), self.items)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Texts: ...
    def __getitem__(self, index: int | slice) -> str | Texts:
        if isinstance(index, slice):
            return Texts(self.items[index], self.side)
        text: str = getattr(self.items[index], self.side)
        return text

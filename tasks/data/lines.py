"""Lines of text files, mapped into memory rather than read, and whatever can keep a file from being
one: every line is given as it is meant, or named.

Lines end at LF or CR LF, in files without any LF at CR; not at other characters that Unicode counts
as line ends, since those occur inside texts.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar, overload

import numpy as np

from bench.errors import UsageError
from tasks.data.files import empty_file, require_file, unreadable
from tasks.data.problems import OnError, fail
from tasks.data.unicode import composed

# Bytes looked at together when a text file is searched for line ends or decoded.
CHUNK = 1 << 25
#: Most characters of a word. Learning byte pairs takes time that grows with the square of it.
LONGEST_WORD = 10_000

#: The columns of one example.
TextRow = tuple[str, ...]

RowT = TypeVar("RowT", str, TextRow)

# How files begin that are no text files.
_NO_TEXT = {
    rb"\x1f\x8b": "compressed by gzip; unpack it",
    rb"BZh[1-9]1AY&SY": "compressed by bzip2; unpack it",
    rb"\xfd7zXZ\0": "compressed by xz; unpack it",
    rb"\x28\xb5\x2f\xfd": "compressed by zstd; unpack it",
    rb"PK\x03\x04": "a ZIP archive or a spreadsheet; unpack it, or save the table as text",
    rb"PAR1[\x10-\x1f]": "a Parquet file; save the table as text",
    rb"version https://git-lfs\.": "a pointer of Git LFS; get the file itself with `git lfs pull`",
    rb"\xff\xfe\0\0|\0\0\xfe\xff": "not UTF-8 but UTF-32; convert the file to UTF-8",
    rb"\xff\xfe|\xfe\xff": "not UTF-8 but UTF-16; convert the file to UTF-8",
    # No mark, but each Latin letter beside a zero byte.
    rb"(?:[^\0]\0){8}|(?:\0[^\0]){8}": "not UTF-8 but UTF-16; convert the file to UTF-8",
}
_BYTE_ORDER_MARK = "\ufeff"
_NO_CHARACTER = re.compile("[\0\ud800-\udfff]")
_WORD = re.compile(r"\w+")


def unusable(text: str) -> str:
    """Why a text can be written nowhere or would take for ever to cut into words; "" if it can be
    used."""
    found = None if text.isascii() and "\0" not in text else _NO_CHARACTER.search(text)
    if found is not None:
        if found[0] == "\0":
            return "holds a NUL character"
        return f"holds half a character (the surrogate U+{ord(found[0]):04X})"
    if len(text) > LONGEST_WORD:
        longest = max(map(len, _WORD.findall(text)), default=0)
        if longest > LONGEST_WORD:
            return f"holds a word of {longest:,} characters, {LONGEST_WORD:,} are the most"
    return ""


class TextRows(Sequence[RowT]):
    """Texts, or rows of them. Subclasses read one row, go through all, and count them."""

    @abstractmethod
    def row(self, index: int) -> RowT:
        """The row at this place, counted from 0. Raises UsageError where it cannot be read."""

    @overload
    def __getitem__(self, index: int) -> RowT: ...
    @overload
    def __getitem__(self, index: slice) -> list[RowT]: ...
    def __getitem__(self, index: int | slice) -> RowT | list[RowT]:
        if isinstance(index, slice):
            return [self.row(place) for place in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.row(index % len(self))


class TextLines(TextRows[str]):
    """The lines of a UTF-8 file, without their ends and byte order marks.

    Args:
        texts: whether the lines are texts and nothing else, to be composed (`tasks.data.unicode`).

    Raises:
        UsageError: the file is missing, no regular file, unreadable, empty, compressed or of
            another encoding. Lines that are not UTF-8, or hold NUL or a lone CR, are found by
            `problems`, or where they are asked for.
    """

    def __init__(self, path: Path, *, texts: bool = False) -> None:
        self.path, self._texts = path, texts
        require_file(path, "text file")
        try:
            self._bytes = np.memmap(path, dtype=np.uint8, mode="r")
        except OSError as error:
            raise unreadable(path, error) from None
        except ValueError:  # nothing to map
            raise empty_file(path) from None
        head = self._bytes[:64].tobytes()
        for beginning, what in _NO_TEXT.items():
            if re.match(beginning, head):
                what, _, remedy = what.partition("; ")
                raise UsageError(f"the file is {what}", where=str(path), remedy=remedy)
        self._end = "\n"
        self._starts = self._line_starts()
        if len(self) == 1 and self._bytes[-1] != ord("\n"):
            self._end = "\r"
            self._starts = self._line_starts()

    def _line_starts(self) -> np.ndarray:
        """Where lines start, and at last where the file ends as if with a line end. N+1"""
        ends = [
            np.flatnonzero(self._bytes[low : low + CHUNK] == ord(self._end)) + low
            for low in range(0, len(self._bytes), CHUNK)
        ]
        starts = np.concatenate([[0], *ends]).astype(np.int64)
        starts[1:] += 1
        if starts[-1] < len(self._bytes):
            starts = np.append(starts, len(self._bytes) + 1)
        return starts

    def __len__(self) -> int:
        return len(self._starts) - 1

    def row(self, index: int) -> str:
        return self._decode(index, index + 1)[0]

    def __iter__(self) -> Iterator[str]:
        for low, high in self._chunks():
            yield from self._decode(low, high)

    def hold(self, character: str) -> bool:
        """Whether an ASCII character is anywhere in the file."""
        return any(
            bool((self._bytes[low : low + CHUNK] == ord(character)).any())
            for low in range(0, len(self._bytes), CHUNK)
        )

    def numbered(self, on_error: OnError = fail) -> Iterator[tuple[int, str]]:
        """The lines with their numbers from 1; those that cannot be used go to `on_error`."""
        for low, high in self._chunks():
            try:
                lines = self._decode(low, high)
            except UsageError:
                yield from self._one_by_one(low, high, on_error)
            else:
                yield from enumerate(lines, low + 1)

    def filled(self, on_error: OnError = fail) -> Iterator[tuple[int, str]]:
        """The lines that are not blank, as `numbered`. Raises UsageError if all of them are."""
        if self.next_filled(0) is None:
            raise empty_file(self.path)
        yield from ((n, line) for n, line in self.numbered(on_error) if line.strip())

    def next_filled(self, start: int) -> int | None:
        """The first line from `start` (from 0) on that is not blank, or None. One that cannot be
        used is not."""
        white = np.frombuffer(b" \t\r\n\v\f", np.uint8)
        marked = self._bytes[:3].tobytes() == _BYTE_ORDER_MARK.encode()
        for low in range(max(int(self._starts[start]), 3 * marked), len(self._bytes), CHUNK):
            seen = np.flatnonzero(~np.isin(self._bytes[low : low + CHUNK], white))
            if len(seen):
                return int(np.searchsorted(self._starts, low + seen[0], side="right")) - 1
        return None

    def problems(self) -> Iterator[UsageError]:
        """The lines that cannot be used as texts."""
        for low, high in self._chunks():
            found: list[UsageError] = []
            try:
                lines = self._decode(low, high)
            except UsageError:
                lines = [line for _, line in self._one_by_one(low, high, found.append)]
            yield from found
            if max(map(len, lines), default=0) <= LONGEST_WORD:
                continue
            for number, line in self._one_by_one(low, high, lambda error: None):
                if reason := unusable(line):
                    yield UsageError(f"the line {reason}", where=f"{self.path}:{number}")

    def _chunks(self) -> Iterator[tuple[int, int]]:
        low = 0
        while low < len(self):
            high = int(np.searchsorted(self._starts, self._starts[low] + CHUNK, side="right")) - 1
            high = min(max(high, low + 1), len(self))
            yield low, high
            low = high

    def _one_by_one(self, low: int, high: int, on_error: OnError) -> Iterator[tuple[int, str]]:
        for index in range(low, high):
            try:
                line = self.row(index)
            except UsageError as error:
                on_error(error)
            else:
                yield index + 1, line

    def _decode(self, low: int, high: int) -> list[str]:
        """The lines from `low` to `high`, counted from 0. Raises UsageError naming the first that
        cannot be used."""
        raw = self._bytes[self._starts[low] : self._starts[high] - 1].tobytes()
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            end = self._end.encode()
            place = error.start - raw.rfind(end, 0, error.start)
            raise self._refused(
                low + raw.count(end, 0, error.start),
                f"not UTF-8 (byte 0x{raw[error.start]:02x} at position {place} of the line)",
                "convert the file to UTF-8",
            ) from None
        if _BYTE_ORDER_MARK in text:
            text = text.replace(_BYTE_ORDER_MARK, "")
        if self._texts:
            text = composed(text)
        lines = text.split(self._end)
        if "\0" in text:
            number = next(n for n, line in enumerate(lines) if "\0" in line)
            raise self._refused(low + number, "holds a NUL character", "is it a text file?")
        if "\r" in text:
            lines = [line.rstrip("\r") for line in lines]
            for number, line in enumerate(lines):
                if "\r" in line:
                    remedy = "lines end in LF or CR LF, in files without either in CR; convert it"
                    raise self._refused(low + number, "holds a CR that ends no line", remedy)
        return lines

    def _refused(self, index: int, what: str, remedy: str) -> UsageError:
        return UsageError(what, where=f"{self.path}:{index + 1}", remedy=remedy)


def read_lines(path: Path, on_error: OnError = fail) -> Iterator[tuple[int, str]]:
    """Numbered lines of a file, as `TextLines`."""
    return TextLines(path).numbered(on_error)

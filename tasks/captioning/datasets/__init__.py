"""What the captioning data sets have in common: pictures with captions, regions for their phrases,
and how files of captions are read."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np

from bench.errors import UsageError, blank
from tasks.base import Corpus
from tasks.captioning.metrics import normalised
from tasks.captioning.pictures import Depth, grey_ranges, look_at
from tasks.data.cache import file_digest
from tasks.data.files import file_named
from tasks.data.lines import read_lines, unusable
from tasks.data.problems import OnError, Problem, collect
from tasks.data.readers import Number, Row, read_rows
from tasks.data.tokenizer import words
from tasks.data.unicode import composed

#: How pictures that cannot be read, and lines, are counted.
UNREADABLE, UNUSABLE = "pictures that cannot be read", "unusable lines"
_TOKEN_KEY = re.compile(r"(?P<picture>.+)#(?P<number>\d{1,9})")
_TABLES = (".jsonl", ".ndjson", ".json", ".csv", ".tsv")


@dataclass(frozen=True)
class Box:
    """A rectangle in relative coordinates: 0..1 from left to right and from top to bottom, each
    axis on its own, so that a picture may be squashed without moving its boxes."""

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        assert 0 <= self.left < self.right <= 1 and 0 <= self.top < self.bottom <= 1, self


@dataclass(frozen=True)
class Phrase:
    """Words `start` (included) to `end` (excluded) of a caption, and where in the picture what
    they name is: in any of the boxes."""

    start: int
    end: int
    boxes: tuple[Box, ...]

    def __post_init__(self) -> None:
        assert 0 <= self.start < self.end and self.boxes, self


@dataclass(frozen=True)
class Caption:
    """One reference.

    Attributes:
        text: as `tasks.captioning.metrics.normalised` leaves it: lower case, no punctuation.
        phrases: noun phrases with boxes; empty where none is known.
    """

    text: str
    phrases: tuple[Phrase, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """The words that phrases count, as `tasks.data.tokenizer` cuts them (a
        hyphenated word is three of them)."""
        return words(self.text)


class Drawn(ABC):
    """A picture that is computed instead of read from a file."""

    @property
    @abstractmethod
    def key(self) -> str:
        """Text that changes whenever the pixels do. Cheap: nothing is drawn for it."""

    @classmethod
    @abstractmethod
    def draw(cls, pictures: Sequence[Drawn], size: int) -> np.ndarray:
        """Pixels N,size,size,3 (uint8, RGB). A picture does not depend on its neighbours."""


@dataclass(frozen=True)
class Picture:
    """One picture with its references.

    Attributes:
        id: unique in its corpus ("test-17", a file name).
        image: file or drawing; its pixels come from `tasks.captioning.pixels.pixels`.
        captions: at least one.
        length: for the by-length curve: objects in a drawn scene, otherwise the median number of
            words of its references.
        original: width and height in pixels of the picture as it was annotated, where known:
            what to stretch a squashed picture to.
    """

    id: str
    image: Path | Drawn
    captions: tuple[Caption, ...]
    length: int
    original: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        assert self.captions, self.id

    @property
    def references(self) -> tuple[str, ...]:
        return tuple(caption.text for caption in self.captions)

    @property
    def image_digest(self) -> str:
        """Text that changes whenever the picture does. Raises UsageError naming a file that cannot
        be read."""
        return self.image.key if isinstance(self.image, Drawn) else file_digest(self.image)

    def content(self) -> Iterator[str]:
        yield self.image_digest
        yield repr((self.length, self.original))
        for caption in self.captions:
            yield caption.text
            yield repr(caption.phrases)


@dataclass(frozen=True, kw_only=True)
class CaptionCorpus(Corpus[Picture]):
    """Pictures by split.

    Attributes:
        size: width and height in pixels that pictures are brought to.
    """

    size: int

    def traits(self) -> Sequence[Any]:
        return (self.size,)

    def files(self) -> Iterator[Path]:
        """The files of all pictures that are not drawn."""
        return (one.image for one in self.examples() if isinstance(one.image, Path))

    def problems(self) -> Iterator[Problem]:
        """Files that are not pictures, and pictures that are in two splits: all are decoded."""
        ranges = self._ranges
        first: dict[bytes, tuple[str, Path]] = {}
        for split, pictures in self.splits.items():
            for picture in pictures:
                path = picture.image
                if not isinstance(path, Path):
                    continue  # drawn
                try:
                    look = look_at(path, ranges)
                except UsageError as error:
                    yield Problem.of(error, UNREADABLE)
                    continue
                other, place = first.setdefault(look.digest, (split, path))
                if other != split:
                    yield Problem(
                        f"this picture of {split} is also in {other} ({place.name})",
                        str(path),
                        "pictures in two splits",
                        "keep it in one",
                    )

    def remarks(self) -> Iterator[str]:
        """What is odd about pictures that can be read. Raises UsageError where one cannot."""
        ranges = self._ranges
        for depth, (low, high) in ranges:
            yield f"{depth} grey levels: {low:g} is black and {high:g} is white"
        looks = [(path.name, look_at(path, ranges)) for path in self.files()]
        for names, what in (
            ([name for name, look in looks if look.flat], "of one colour throughout"),
            ([name for name, look in looks if look.frames > 1], "with further frames or pages"),
        ):
            if names:
                yield f"{len(names)} pictures {what}, the first: {shorten(names[0], 80)}"

    @cached_property
    def _ranges(self) -> tuple[tuple[Depth, tuple[float, float]], ...]:
        return tuple(grey_ranges(self.files()).items())


@dataclass(frozen=True)
class Columns:
    """Names of the columns (or JSON keys) that are read. `split` need not be there."""

    picture: str = "image"
    caption: str = "caption"
    split: str = "split"


@dataclass(frozen=True)
class Entry:
    """One caption of a file.

    Attributes:
        picture: name of the picture's file.
        text: the caption, normalised.
        where: file:line.
        split: as the file names it, "" where it does not.
        number: place among the picture's captions.
    """

    picture: str
    text: str
    where: str
    split: str = ""
    number: int = 0


def described(name: str, folder: Path, entries: Sequence[Entry]) -> Picture:
    """The picture in a folder that some entries describe; its length is the median number of their
    words (the upper one of two)."""
    captions = tuple(Caption(entry.text) for entry in entries)
    lengths = sorted(len(caption.words) for caption in captions)
    return Picture(name, file_named(folder, name), captions, lengths[len(lengths) // 2])


def read_entries(path: Path, columns: Columns | None = None) -> tuple[list[Entry], list[Problem]]:
    """The captions of a file, and what is wrong with its lines.

    Formats: those of `tasks.data.readers.read_rows` (in JSON lines the caption may be a list of
    captions), and files whose first line is `picture#number<tab>caption`.

    Raises UsageError: the file cannot be read, is not UTF-8, is empty, or lacks a column.
    """
    given = columns or Columns()
    columns = Columns(*map(composed, (given.picture, given.caption, given.split)))
    entries: list[Entry] = []
    problems: list[Problem] = []
    for one in _found(path, columns, collect(problems, UNUSABLE)):
        if isinstance(one, Problem):
            problems.append(one)
        elif not blank(one.text):
            entries.append(one)
        else:
            what = f"the caption of '{one.picture}' has no words"
            remedy = "write the caption or remove the line"
            problems.append(Problem(what, one.where, "captions without words", remedy))
    return entries, problems


def by_picture(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Entries by picture, pictures in the order of the file, captions by their number."""
    groups = defaultdict(list)
    for entry in entries:
        groups[entry.picture].append(entry)
    return {name: sorted(group, key=attrgetter("number")) for name, group in groups.items()}


def _found(path: Path, columns: Columns, on_error: OnError) -> Iterator[Entry | Problem]:
    if path.suffix.lower() not in _TABLES:
        _, first = next(read_lines(path), (0, ""))
        if "\t" in first and _TOKEN_KEY.fullmatch(first.split("\t", 1)[0]):
            yield from _token_lines(path, on_error)
            return
    for row in read_rows(
        path,
        on_error,
        columns=(columns.picture, columns.caption),
        remedy="set picture_column and caption_column for other names",
    ):
        try:
            yield from _entries(row, columns)
        except UsageError as error:
            on_error(error)


def _token_lines(path: Path, on_error: OnError) -> Iterator[Entry | Problem]:
    for number, line in read_lines(path, on_error):
        key, tab, caption = line.partition("\t")
        found, where = _TOKEN_KEY.fullmatch(key.strip()), f"{path}:{number}"
        if reason := unusable(caption):
            yield Problem(f"the caption {reason}", where, UNUSABLE)
        elif tab and found is not None:
            text = normalised(composed(caption))
            yield Entry(found["picture"], text, where, number=int(found["number"]))
        elif line.strip():
            yield _bad_line(where, "picture#number, a tab, the caption")


def _entries(row: Row, columns: Columns) -> Iterator[Entry | Problem]:
    """The captions of one row. Raises UsageError where a value cannot be used."""
    picture, captions = row.values[columns.picture], row.values[columns.caption]
    captions = captions if isinstance(captions, list) else [captions]
    if not _text(picture) or blank(picture):
        yield _bad_line(row.where, "the name of a picture")
    elif not captions or not all(map(_text, captions)):
        yield _bad_line(row.where, "a caption, or a list of captions")
    else:
        name = row.written(columns.picture).strip()
        split = row.values.get(columns.split)
        split = "" if split is None else row.text(columns.split).strip()
        for caption in captions:
            one = Row(row.path, row.line, {columns.caption: caption})
            yield Entry(name, normalised(one.text(columns.caption)), row.where, split)


def _text(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _bad_line(where: str, expected: str) -> Problem:
    return Problem(f"expected {expected}", where, UNUSABLE)

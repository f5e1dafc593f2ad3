"""What the captioning data sets have in common: pictures with captions, regions for their phrases,
and how files of captions are read."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import warnings
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UsageError
from tasks.base import Corpus
from tasks.captioning.metrics import normalised
from tasks.data.cache import file_digest
from tasks.data.readers import OnError, Problem, collect, read_json_lines
from tasks.data.rows import TextLines
from tasks.data.tokenizer import words

# Pictures that agree in this many pixels a side are the same picture.
THUMBNAIL = 32
#: How pictures that cannot be read, and lines, are counted.
UNREADABLE, UNUSABLE = "pictures that cannot be read", "unusable lines"
_TOKEN_KEY = re.compile(r"(?P<picture>.+)#(?P<number>\d+)")


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
        image: file or drawing; its pixels come from `tasks.captioning.data.pixels`.
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

    def problems(self) -> Iterator[Problem]:
        """Files that are not pictures, and pictures that are in two splits: all are decoded."""
        first: dict[bytes, tuple[str, Path]] = {}
        for split, pictures in self.splits.items():
            for picture in pictures:
                path = picture.image
                if not isinstance(path, Path):
                    continue  # drawn
                try:
                    pixels = read_picture(path, THUMBNAIL)
                except UsageError as error:
                    yield Problem.of(error, UNREADABLE)
                    continue
                key = hashlib.sha256(pixels.tobytes()).digest()
                other, place = first.setdefault(key, (split, path))
                if other != split:
                    yield Problem(
                        f"this picture of {split} is also in {other} ({place.name})",
                        str(path),
                        "pictures in two splits",
                        "keep it in one",
                    )


def read_picture(path: Path, size: int) -> np.ndarray:
    """One picture file as RGB, size,size,3 uint8, squashed where it is not square.

    Raises UsageError: missing, not a picture, truncated, or absurdly large.
    """
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            # Of sizes that could exhaust the memory Pillow makes an error, of half that a warning.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                upright = ImageOps.exif_transpose(image)
                small = upright.convert("RGB").resize((size, size), Image.Resampling.BICUBIC)
                return np.asarray(small)
    # Pillow's decoders raise whatever a broken file drives them to.
    except Exception as error:
        kind = str(error).replace(f"'{path}'", "").strip() or type(error).__name__
        raise UsageError(
            f"cannot be read as a picture ({kind})",
            where=str(path),
            remedy="replace or remove it",
        ) from None


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
    return Picture(name, folder / name, captions, lengths[len(lengths) // 2])


def read_entries(path: Path, columns: Columns | None = None) -> tuple[list[Entry], list[Problem]]:
    """The captions of a file, and what is wrong with its lines.

    Formats: `.jsonl` (an object a line; the caption may be a list of captions), `.csv` and `.tsv`
    with a header, anything else by its first line: `picture#number<tab>caption` or a header with
    tabs or commas.

    Raises UsageError: the file cannot be read, is not UTF-8, is empty, or lacks a column.
    """
    columns = columns or Columns()
    entries: list[Entry] = []
    problems: list[Problem] = []
    for one in _found(path, columns, collect(problems, UNUSABLE)):
        if isinstance(one, Problem):
            problems.append(one)
        elif one.text:
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
    if path.suffix in {".jsonl", ".ndjson"}:
        for row in read_json_lines(path, on_error):
            yield from _entries(row.values, columns, row.where)
        return
    lines = list(TextLines(path))
    if "\t" in lines[0] and _TOKEN_KEY.fullmatch(lines[0].split("\t", 1)[0]):
        yield from _token_lines(path, lines)
    else:
        tabs = path.suffix == ".tsv" or (path.suffix != ".csv" and "\t" in lines[0])
        yield from _table(path, lines, columns, "\t" if tabs else ",")


def _token_lines(path: Path, lines: Sequence[str]) -> Iterator[Entry | Problem]:
    for number, line in enumerate(lines, start=1):
        key, tab, caption = line.partition("\t")
        found, where = _TOKEN_KEY.fullmatch(key.strip()), f"{path}:{number}"
        if tab and found is not None:
            yield Entry(found["picture"], normalised(caption), where, number=int(found["number"]))
        elif line.strip():
            yield _bad_line(where, "picture#number, a tab, the caption")


def _table(
    path: Path, lines: Sequence[str], columns: Columns, delimiter: str
) -> Iterator[Entry | Problem]:
    # Captions hold quotation marks of their own; only comma-separated files use them to quote.
    reader = csv.reader(
        io.StringIO("\n".join(lines), newline=""),
        delimiter=delimiter,
        quoting=csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE,
    )
    header = [name.strip() for name in next(reader)]
    for name in (columns.picture, columns.caption):
        if name not in header:
            raise UsageError(
                f"no column '{name}'",
                where=f"{path}:1",
                remedy=f"name the columns in the first line (there are: {', '.join(header)}) or "
                "set picture_column and caption_column",
            )
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            yield _bad_line(f"{path}:{reader.line_num}", f"a row of a table ({error})")
            continue
        where = f"{path}:{reader.line_num}"
        if row is None:
            return
        if not any(row):
            continue
        if len(row) != len(header):
            yield _bad_line(where, f"{len(header)} columns, not {len(row)}")
            continue
        yield from _entries(dict(zip(header, row, strict=True)), columns, where)


def _entries(row: Mapping[str, Any], columns: Columns, where: str) -> Iterator[Entry | Problem]:
    if not {columns.picture, columns.caption} <= row.keys():
        yield _bad_line(where, f"an object with '{columns.picture}' and '{columns.caption}'")
        return
    picture, captions = row[columns.picture], row[columns.caption]
    captions = captions if isinstance(captions, list) else [captions]
    if not isinstance(picture, str) or not picture.strip():
        yield _bad_line(where, "the name of a picture")
    elif not captions or not all(isinstance(caption, str) for caption in captions):
        yield _bad_line(where, "a caption, or a list of captions")
    else:
        split = str(row.get(columns.split) or "").strip()
        for caption in captions:
            yield Entry(picture.strip(), normalised(caption), where, split)


def _bad_line(where: str, expected: str) -> Problem:
    return Problem(f"expected {expected}", where, UNUSABLE)

"""Any folder of pictures with a file of captions."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from bench.errors import UsageError, unknown_name
from tasks.base import DatasetOptions, ScannedDataset, datasets
from tasks.captioning.corpus import Caption, CaptionCorpus, Picture, median_length
from tasks.captioning.metrics import normalised
from tasks.data.lines import TextLines
from tasks.data.readers import required_root
from tasks.problems import Problem, Scan

# Files of captions, line by line: the token format of Flickr8k, tables with named columns, JSON
# lines.

_TOKEN_KEY = re.compile(r"(?P<picture>.+)#(?P<number>\d+)")


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


def read_entries(path: Path, columns: Columns | None = None) -> tuple[list[Entry], list[Problem]]:
    """The captions of a file, and what is wrong with its lines.

    Formats: `.jsonl` (an object a line; the caption may be a list of captions), `.csv` and `.tsv`
    with a header, anything else by its first line: `picture#number<tab>caption` or a header with
    tabs or commas.

    Raises UsageError: the file cannot be read, is not UTF-8, is empty, or lacks a column.
    """
    lines, columns = list(TextLines(path)), columns or Columns()
    first = lines[0] if lines else ""
    if path.suffix in {".jsonl", ".ndjson"}:
        found: Iterable[Entry | Problem] = _json_lines(path, lines, columns)
    elif "\t" in first and _TOKEN_KEY.fullmatch(first.split("\t", 1)[0]):
        found = _token_lines(path, lines)
    else:
        tabs = path.suffix == ".tsv" or (path.suffix != ".csv" and "\t" in first)
        found = _table(path, lines, columns, "\t" if tabs else ",")
    entries: list[Entry] = []
    problems: list[Problem] = []
    for one in found:
        if isinstance(one, Problem):
            problems.append(one)
        elif not one.text:
            problems.append(
                Problem(
                    f"the caption of '{one.picture}' has no words",
                    one.where,
                    "captions without words",
                    "write the caption or remove the line",
                )
            )
        else:
            entries.append(one)
    return entries, problems


def by_picture(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Entries by picture, pictures in the order of the file, captions by their number."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.picture, []).append(entry)
    for group in groups.values():
        group.sort(key=lambda entry: entry.number)
    return groups


def _token_lines(path: Path, lines: Sequence[str]) -> Iterator[Entry | Problem]:
    for line, content in enumerate(lines, start=1):
        if not content.strip():
            continue
        key, tab, caption = content.partition("\t")
        found = _TOKEN_KEY.fullmatch(key.strip())
        if not tab or found is None:
            yield _bad_line(f"{path}:{line}", "picture#number, a tab, the caption")
            continue
        yield Entry(
            found["picture"], normalised(caption), f"{path}:{line}", number=int(found["number"])
        )


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


def _json_lines(path: Path, lines: Sequence[str], columns: Columns) -> Iterator[Entry | Problem]:
    for line, content in enumerate(lines, start=1):
        if not content.strip():
            continue
        where = f"{path}:{line}"
        try:
            row = json.loads(content)
        except json.JSONDecodeError as error:
            yield _bad_line(where, f"a JSON object ({error.msg})")
            continue
        if not isinstance(row, dict) or not {columns.picture, columns.caption} <= row.keys():
            yield _bad_line(where, f"an object with '{columns.picture}' and '{columns.caption}'")
            continue
        yield from _entries(row, columns, where)


def _entries(row: Mapping[str, Any], columns: Columns, where: str) -> Iterator[Entry | Problem]:
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
    return Problem(f"expected {expected}", where, "unusable lines")


#: Looked for where `captions` is not given.
CAPTION_FILES = ("captions.tsv", "captions.csv", "captions.jsonl", "captions.txt")
SPLIT_NAMES = {
    "train": "train",
    "training": "train",
    "restval": "train",  # of the splits of Karpathy and Fei-Fei (2015)
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
    "testing": "test",
}
# Of pictures without a split, one in ten is for validation and one in ten for the test.
TENTH = 10


class FolderOptions(DatasetOptions):
    size: int = Field(64, ge=16, le=512, description="width and height of pictures in pixels")
    captions: str = Field(
        "", description=f"file below the data root; by default {', '.join(CAPTION_FILES)}"
    )
    pictures: str = Field("", description="folder below the data root that holds the pictures")
    picture_column: str = Field("image", description="column or key with the picture's file name")
    caption_column: str = Field("caption", description="column or key with the caption")
    split_column: str = Field(
        "split", description="column or key with train, validation or test, if there is one"
    )


@datasets("captioning").register("folder")
class CaptionFolder(ScannedDataset[CaptionCorpus]):
    """Pictures of one's own: `--data-root` is the folder."""

    name: ClassVar[str] = "folder"
    summary: ClassVar[str] = "any folder of pictures with captions in TSV, CSV, JSONL or token form"
    licence: ClassVar[str] = "the user's own"
    places: ClassVar[tuple[str, ...]] = CAPTION_FILES
    Options: ClassVar[type[DatasetOptions]] = FolderOptions

    @classmethod
    def scan(cls, options: DatasetOptions, data_root: Path | None) -> Scan[CaptionCorpus]:
        """Read the captions and look for their pictures.

        Raises UsageError: no caption file, one that cannot be used, a split that is empty.
        """
        assert isinstance(options, FolderOptions)
        root = required_root(data_root, cls.name, "pictures and captions")
        path = _caption_file(root, options.captions)
        pictures = root / options.pictures
        if not pictures.is_dir():
            raise UsageError("no such folder", where=f"--set pictures: {pictures}")
        columns = Columns(options.picture_column, options.caption_column, options.split_column)
        entries, problems = read_entries(path, columns)
        groups = by_picture(entries)
        missing = {name for name in groups if not (pictures / name).is_file()}
        problems += [
            Problem(
                f"no picture '{name}'",
                groups[name][0].where,
                "captions without pictures",
                f"put it into {pictures}, or set pictures to its folder",
            )
            for name in groups
            if name in missing
        ]
        usable = {name: group for name, group in groups.items() if name not in missing}
        homes, bad = _homes(usable)
        problems += bad
        splits = _splits(pictures, usable, homes)
        empty = [split for split, part in splits.items() if not part]
        if empty and not problems:
            raise UsageError(
                f"no picture for the {empty[0]} split among {len(homes)}",
                where=str(path),
                remedy="three pictures are the least; or add a split column",
            )
        corpus = CaptionCorpus(
            train=splits["train"],
            validation=splits["validation"],
            tests={"test": splits["test"]},
            size=options.size,
            notes=_notes(pictures, usable),
        )
        return Scan(corpus, tuple(problems))


def _caption_file(root: Path, given: str) -> Path:
    if given:
        if not (root / given).exists():
            raise UsageError("no such file", where=f"--set captions: {root / given}")
        return root / given
    for name in CAPTION_FILES:
        if (root / name).exists():
            return root / name
    raise UsageError(
        f"no file of captions ({', '.join(CAPTION_FILES)})",
        where=str(root),
        remedy="name it: --set captions=FILE",
    )


def _homes(groups: Mapping[str, Sequence[Entry]]) -> tuple[dict[str, str], list[Problem]]:
    """The split of every picture, and what is wrong with the splits the file names.

    A file names a split for every picture or for none; for none, a hash of the name decides.
    """
    named = {name: {entry.split for entry in group} for name, group in groups.items()}
    if not any(splits - {""} for splits in named.values()):
        return _dealt(list(groups)), []
    homes: dict[str, str] = {}
    problems: list[Problem] = []
    for name, splits in named.items():
        where = groups[name][0].where
        known = {SPLIT_NAMES.get(split.lower()) for split in splits}
        if len(known) > 1:
            problems.append(
                Problem(
                    f"'{name}' is in several splits ({', '.join(sorted(splits))})",
                    where,
                    "pictures in several splits",
                    "give all its captions the same split",
                )
            )
        elif (home := known.pop()) is None:
            error = unknown_name("split", min(splits), SPLIT_NAMES)
            problems.append(Problem(error.what, where, "unknown splits", error.remedy))
        else:
            homes[name] = home
    return homes, problems


def _dealt(names: Sequence[str]) -> dict[str, str]:
    """Splits for pictures that have none: four fifths, a tenth, a tenth."""
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode()).digest())
    tenth = max(1, len(order) // TENTH)
    return {
        name: "test" if place < tenth else "validation" if place < 2 * tenth else "train"
        for place, name in enumerate(order)
    }


def _splits(
    folder: Path, groups: Mapping[str, Sequence[Entry]], homes: Mapping[str, str]
) -> dict[str, list[Picture]]:
    splits: dict[str, list[Picture]] = {"train": [], "validation": [], "test": []}
    for name, home in homes.items():
        captions = tuple(Caption(entry.text) for entry in groups[name])
        splits[home].append(Picture(name, folder / name, captions, median_length(captions)))
    return splits


def _notes(folder: Path, groups: Mapping[str, Sequence[Entry]]) -> tuple[str, ...]:
    notes = []
    if not any(entry.split for group in groups.values() for entry in group):
        notes.append("no split column: pictures dealt 8:1:1 by a hash of their names")
    suffixes = {Path(name).suffix.lower() for name in groups}
    spare = sum(
        path.suffix.lower() in suffixes for path in folder.iterdir() if path.name not in groups
    )
    if spare:
        notes.append(f"{spare} pictures in {folder.name} have no caption and are not used")
    return tuple(notes)

"""Any folder of pictures with a file of captions."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from pydantic import Field

from bench.errors import UsageError
from tasks.base import DatasetOptions, ScannedDataset, datasets
from tasks.captioning.datasets import (
    CaptionCorpus,
    Columns,
    Entry,
    Picture,
    by_picture,
    described,
    read_entries,
)
from tasks.captioning.pictures import grey_ranges, look_at
from tasks.data.files import file_named, found_instead, is_file, require_file, required_root
from tasks.data.problems import Problem, Scan
from tasks.data.readers import split_name
from tasks.data.unicode import composed

#: Looked for where `captions` is not given.
CAPTION_FILES = ("captions.tsv", "captions.csv", "captions.jsonl", "captions.txt")
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

    name = "folder"
    summary = "any folder of pictures with captions in TSV, CSV, JSONL or token form"
    licence = "the user's own"
    places = CAPTION_FILES
    Options = FolderOptions

    @classmethod
    def scan(cls, options: FolderOptions, data_root: Path | None) -> Scan[CaptionCorpus]:
        """Read the captions and look for their pictures.

        Raises UsageError: no caption file, one that cannot be used, a split that is empty.
        """
        root = required_root(data_root, cls.name, "pictures and captions")
        path = _caption_file(root, options.captions)
        pictures = root / options.pictures
        if not pictures.is_dir():
            raise UsageError("no such folder", where=f"--set pictures: {pictures}")
        columns = Columns(options.picture_column, options.caption_column, options.split_column)
        entries, problems = read_entries(path, columns)
        groups = by_picture(entries)
        usable = {
            name: group for name, group in groups.items() if is_file(file_named(pictures, name))
        }
        problems += [
            Problem(
                f"no picture '{name}'",
                group[0].where,
                "captions without pictures",
                found_instead(pictures / name)
                or f"put it into {pictures}, or set pictures to its folder",
            )
            for name, group in groups.items()
            if name not in usable
        ]
        homes, bad = _homes(usable, pictures)
        problems += bad
        splits: dict[str, list[Picture]] = {"train": [], "validation": [], "test": []}
        for name, home in homes.items():
            splits[home].append(described(name, pictures, usable[name]))
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
        try:
            require_file(root / given, "text file")
        except UsageError as error:
            where = f"--set captions: {error.where}"
            raise UsageError(error.what, where=where, remedy=error.remedy) from None
        return root / given
    for name in CAPTION_FILES:
        if (root / name).exists():
            return root / name
    raise UsageError(
        f"no file of captions ({', '.join(CAPTION_FILES)})",
        where=str(root),
        remedy=next(filter(None, map(found_instead, [root / name for name in CAPTION_FILES])), "")
        or "name it: --set captions=FILE",
    )


def _homes(
    groups: Mapping[str, Sequence[Entry]], pictures: Path
) -> tuple[dict[str, str], list[Problem]]:
    """The split of every picture, and what is wrong with the splits the file names.

    A file names a split for every picture or for none; for none, a hash of the name decides, and
    equal pictures stay together.
    """
    named = {name: {entry.split for entry in group} for name, group in groups.items()}
    if not any(splits - {""} for splits in named.values()):
        return _dealt(_looks(groups, pictures)), []
    homes: dict[str, str] = {}
    problems: list[Problem] = []
    for name, splits in named.items():
        where = groups[name][0].where
        known: dict[str, str] = {}
        try:
            known = {split_name(split, where): split for split in sorted(splits)}
        except UsageError as error:
            problems.append(Problem.of(error, "unknown splits"))
            continue
        if len(known) > 1:
            what = f"'{name}' is in several splits ({', '.join(sorted(splits))})"
            remedy = "give all its captions the same split"
            problems.append(Problem(what, where, "pictures in several splits", remedy))
        else:
            homes[name] = next(iter(known))
    return homes, problems


def _looks(names: Iterable[str], folder: Path) -> dict[str, bytes]:
    """What pictures show, the same for equal ones; for one that cannot be read its name."""
    paths = {name: file_named(folder, name) for name in names}
    ranges = tuple(grey_ranges(paths.values()).items())
    looks = {}
    for name, path in paths.items():
        looks[name] = name.encode()
        with contextlib.suppress(UsageError):  # told of with the other problems
            looks[name] = look_at(path, ranges).digest
    return looks


def _dealt(looks: Mapping[str, bytes]) -> dict[str, str]:
    """Splits for pictures that have none: four fifths, a tenth, a tenth, in the order of a hash of
    their names. Equal pictures go where the first of them goes."""
    hashes = {name: hashlib.sha256(name.encode()).digest() for name in looks}
    first: dict[bytes, bytes] = {}
    for name in sorted(looks, key=hashes.__getitem__):
        first.setdefault(looks[name], hashes[name])
    order = sorted(looks, key=lambda name: (first[looks[name]], hashes[name]))
    tenth = max(1, len(order) // TENTH)
    homes: dict[bytes, str] = {}
    for place, name in enumerate(order):
        home = "test" if place < tenth else "validation" if place < 2 * tenth else "train"
        homes.setdefault(looks[name], home)
    return {name: homes[looks[name]] for name in order}


def _notes(folder: Path, groups: Mapping[str, Sequence[Entry]]) -> tuple[str, ...]:
    notes = []
    if not any(entry.split for group in groups.values() for entry in group):
        notes.append("no split column: pictures dealt 8:1:1 by a hash of their names")
    suffixes = {Path(name).suffix.lower() for name in groups}
    known = set(map(composed, groups))
    spare = sum(
        path.suffix.lower() in suffixes
        for path in folder.iterdir()
        if composed(path.name) not in known and not path.name.startswith(".")
    )
    if spare:
        notes.append(f"{spare} pictures in {folder.name} have no caption and are not used")
    return tuple(notes)

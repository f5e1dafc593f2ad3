"""Flickr8k (Hodosh, Young and Hockenmaier 2013) as its authors distribute it, with the regions of
Flickr30k Entities where `annotations.zip` lies beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from bench.errors import UsageError
from tasks.base import DatasetOptions
from tasks.captioning.budgets import photo_settings
from tasks.captioning.cards import FLICKR8K
from tasks.captioning.corpus import Caption, CaptionCorpus, Picture, median_length
from tasks.captioning.entities import Entities, place
from tasks.captioning.entries import Entry, by_picture, read_entries
from tasks.distribution import Distribution
from tasks.problems import Problem, Scan, ScannedDataset, required_root
from tasks.registries import datasets
from tasks.text.lines import TextLines

if TYPE_CHECKING:
    from bench.attention.base import Placement

TOKENS = "Flickr8k.token.txt"
LISTS = {
    "train": "Flickr_8k.trainImages.txt",
    "validation": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
# The archive of the photos really unpacks to the misspelt name.
PHOTOS = ("Flicker8k_Dataset", "Flickr8k_Dataset")


class Flickr8kOptions(DatasetOptions):
    size: int = Field(64, ge=16, le=512, description="width and height of pictures in pixels")
    regions: Literal["none", "test", "all"] = Field(
        "test", description="splits whose captions get the boxes of Flickr30k Entities"
    )


@datasets("captioning").register("flickr8k")
class Flickr8k(ScannedDataset[CaptionCorpus]):
    """8,000 photos with five captions each, in the published splits."""

    name: ClassVar[str] = "flickr8k"
    summary: ClassVar[str] = "photos of people and animals, five captions each; boxes per phrase"
    licence: ClassVar[str] = "research and education only"
    citation: ClassVar[str] = (
        "Hodosh, Young and Hockenmaier (2013), JAIR 47; Plummer et al. (2015), ICCV"
    )
    gold: ClassVar[bool] = True
    card: ClassVar[Distribution | None] = FLICKR8K
    places: ClassVar[tuple[str, ...]] = ("flickr8k", TOKENS)
    Options: ClassVar[type[DatasetOptions]] = Flickr8kOptions

    @classmethod
    def settings(cls, budget: str, placement: Placement) -> Mapping[str, Any]:
        return photo_settings(budget, placement)

    @classmethod
    def scan(cls, options: DatasetOptions, data_root: Path | None) -> Scan[CaptionCorpus]:
        """Read captions, lists and annotations. Photos that are listed but absent are left out,
        as are phrases whose words the captions do not have; both are counted in the notes.

        Raises UsageError: a file of the distribution is missing or cannot be used.
        """
        assert isinstance(options, Flickr8kOptions)
        root = _root(required_root(data_root, cls.name))
        photos = _photos(root)
        entries, problems = read_entries(root / TOKENS)
        groups = by_picture(entries)
        listed = {split: _listed(root / name) for split, name in LISTS.items()}
        problems += _overlaps(root, listed)
        there = {path.name for path in photos.iterdir()}
        notes: list[str] = []
        splits: dict[str, list[Picture]] = {}
        for split, names in listed.items():
            where = root / LISTS[split]
            present = [name for name in names if name in there]
            if not present:
                raise UsageError(
                    f"none of the {len(names)} listed photos is there",
                    where=str(where),
                    remedy=f"put them into {photos}",
                )
            if len(present) < len(names):
                first = next(name for name in names if name not in there)
                notes.append(
                    f"{split}: {len(names) - len(present)} of {len(names)} listed photos are "
                    f"absent and left out, the first: {first}"
                )
            problems += _without_captions(where, present, groups)
            known = [name for name in present if name in groups]
            splits[split] = [_picture(photos / name, groups[name]) for name in known]
        splits, placed = _with_regions(root, splits, options.regions)
        corpus = CaptionCorpus(
            train=splits["train"],
            validation=splits["validation"],
            tests={"test": splits["test"]},
            size=options.size,
            notes=(*notes, *placed),
        )
        return Scan(corpus, tuple(problems))


def _root(data_root: Path) -> Path:
    """The folder of the data set: below the root, or the root itself."""
    for folder in (data_root / "flickr8k", data_root):
        if (folder / TOKENS).is_file():
            return folder
    raise UsageError(
        f"no {TOKENS}",
        where=str(data_root),
        remedy="unpack Flickr8k_text.zip and Flickr8k_Dataset.zip into one folder, flickr8k",
    )


def _photos(root: Path) -> Path:
    for name in PHOTOS:
        if (root / name).is_dir():
            return root / name
    raise UsageError(
        f"no folder {PHOTOS[0]}", where=str(root), remedy="unpack Flickr8k_Dataset.zip there"
    )


def _listed(path: Path) -> list[str]:
    return list(dict.fromkeys(line.strip() for line in TextLines(path) if line.strip()))


def _overlaps(root: Path, listed: Mapping[str, Sequence[str]]) -> list[Problem]:
    """Photos in more than one list: a test on them would be a test on training data."""
    homes: dict[str, str] = {}
    for split, names in listed.items():
        homes |= {name: split for name in names if name not in homes}
    return [
        Problem(
            f"'{name}' is in {LISTS[homes[name]]} too",
            str(root / LISTS[split]),
            "photos in two lists",
            "keep each photo in one list",
        )
        for split, names in listed.items()
        for name in names
        if homes[name] != split
    ]


def _without_captions(
    where: Path, names: Sequence[str], groups: Mapping[str, Sequence[Entry]]
) -> list[Problem]:
    return [
        Problem(
            f"'{name}' has no caption in {TOKENS}",
            str(where),
            "photos without captions",
            "add captions or take it off the list",
        )
        for name in names
        if name not in groups
    ]


def _picture(path: Path, entries: Sequence[Entry]) -> Picture:
    captions = tuple(Caption(entry.text) for entry in entries)
    return Picture(path.name, path, captions, median_length(captions))


def _with_regions(
    root: Path, splits: Mapping[str, list[Picture]], wanted: str
) -> tuple[dict[str, list[Picture]], list[str]]:
    """The splits with phrases where they are wanted and known, and notes of what was found."""
    if wanted == "none" or not Entities.there(root):
        return dict(splits), []
    entities = Entities(root)
    placed: dict[str, list[Picture]] = {}
    boxes = phrases = lost = 0
    for split, pictures in splits.items():
        if wanted == "test" and split != "test":
            placed[split] = pictures
            continue
        placed[split] = []
        for picture in pictures:
            annotated = entities.get(picture.id)
            if annotated is None:
                placed[split].append(picture)
                continue
            captions = place(annotated, picture.references)
            boxes += annotated.boxes
            phrases += annotated.phrases
            lost += annotated.phrases - sum(len(caption.phrases) for caption in captions)
            size = (annotated.width, annotated.height)
            placed[split].append(
                Picture(picture.id, picture.image, captions, picture.length, original=size)
            )
    note = (
        f"Flickr30k Entities: {boxes} boxes, {phrases} phrases with boxes, "
        f"{lost} of them not found in the captions"
    )
    return placed, [note]

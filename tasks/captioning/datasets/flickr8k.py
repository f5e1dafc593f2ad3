"""Flickr8k (Hodosh, Young and Hockenmaier 2013) as its authors distribute it, with the regions of
Flickr30k Entities (Plummer et al. 2015) where `annotations.zip` lies beside it.

A sentence file of Entities has a picture's captions with their noun phrases marked by entity; an
annotation file has the boxes of each entity in pixels of the original photo. The sentences come in
an order of their own and were edited here and there, so each is matched to the caption it comes
from.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from bench.errors import UsageError
from tasks.base import DatasetOptions, ScannedDataset, datasets
from tasks.captioning.datasets import (
    Box,
    Caption,
    CaptionCorpus,
    Phrase,
    Picture,
    by_picture,
    described,
    read_entries,
)
from tasks.captioning.metrics import normalised
from tasks.data.archives import Distribution, Piece
from tasks.data.files import required_root
from tasks.data.lines import read_lines
from tasks.data.problems import Problem, Scan
from tasks.data.tokenizer import words

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

TOKENS = "Flickr8k.token.txt"
LISTS = {
    "train": "Flickr_8k.trainImages.txt",
    "validation": "Flickr_8k.devImages.txt",
    "test": "Flickr_8k.testImages.txt",
}
# The archive of the photos really unpacks to the misspelt name.
PHOTOS = ("Flicker8k_Dataset", "Flickr8k_Dataset")

# Its authors hand the photos out on request; this copy is the one that is widely used. Its
# checksums are MD5.
_RELEASE = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k"

FLICKR8K = Distribution(
    name="flickr8k",
    source="the archives of its authors, as kept at github.com/jbrownlee/Datasets",
    pieces=(
        Piece(
            f"{_RELEASE}/Flickr8k_text.zip",
            {name: f"flickr8k/{name}" for name in (TOKENS, *LISTS.values())},
            "zip",
            md5="bf6c1abcb8e4a833b7f922104de18627",
        ),
        Piece(
            f"{_RELEASE}/Flickr8k_Dataset.zip",
            {"Flicker8k_Dataset/": "flickr8k/Flicker8k_Dataset"},
            "zip",
            md5="f18a1e2920de5bd84dae7cf08ec78978",
        ),
    ),
)

ARCHIVE = "annotations.zip"
# Sentences less alike than this are taken for different captions.
ALIKE = 0.6
_CHUNK = re.compile(r"\[/EN#(\d+)/\S+ ([^\]]*)\]")


@dataclass(frozen=True)
class Sentence:
    """A caption as annotated: its words, and word spans with the boxes of what they name."""

    words: tuple[str, ...]
    phrases: tuple[Phrase, ...]


@dataclass(frozen=True)
class Annotated:
    """The annotation of one picture: size of the original in pixels, boxes, sentences."""

    width: int
    height: int
    boxes: int
    sentences: tuple[Sentence, ...]

    @property
    def phrases(self) -> int:
        return sum(len(sentence.phrases) for sentence in self.sentences)


class Entities:
    """The annotations below a folder: `annotations.zip`, or its two folders unpacked."""

    def __init__(self, root: Path) -> None:
        self.root: Path | zipfile.Path = root
        archive = root / ARCHIVE
        if archive.is_file():
            try:
                self.root = zipfile.Path(archive)
            except (zipfile.BadZipFile, OSError) as error:
                raise UsageError(f"not a readable ZIP file ({error})", where=str(archive)) from None

    @staticmethod
    def there(root: Path) -> bool:
        """Whether the folder has annotations at all."""
        return (root / ARCHIVE).is_file() or (root / "Annotations").is_dir()

    def get(self, name: str) -> Annotated | None:
        """The annotation of a picture (its file name up to "_" or "."), or None.

        Raises UsageError naming the file that cannot be used.
        """
        key = re.split(r"[_.]", name, maxsplit=1)[0]
        sentences = self._read(self.root / f"Sentences/{key}.txt")
        path = self.root / f"Annotations/{key}.xml"
        annotation = self._read(path)
        if sentences is None or annotation is None:
            return None
        width, height, boxes, count = _parse_boxes(annotation, str(path))
        lines = sentences.decode("utf-8", errors="replace").split("\n")
        parsed = tuple(_parse_sentence(line, boxes) for line in lines if line.strip())
        return Annotated(width, height, count, parsed)

    @staticmethod
    def _read(path: Path | zipfile.Path) -> bytes | None:
        try:
            return path.read_bytes() if path.is_file() else None
        except (OSError, zipfile.BadZipFile, zlib.error) as error:
            raise UsageError(f"cannot be read ({error})", where=str(path)) from None


def place(annotated: Annotated, captions: Sequence[str]) -> tuple[Caption, ...]:
    """Captions with the phrases of the sentences they are. A phrase whose words were edited has
    no place; count what is lost by comparing numbers of phrases.

    Args:
        captions: normalised texts.
    """
    texts = [words(caption) for caption in captions]
    phrases: list[tuple[Phrase, ...]] = [()] * len(texts)
    free = set(range(len(texts)))
    edited: list[Sentence] = []
    for sentence in annotated.sentences:
        match = next(
            (n for n in sorted(free) if _letters(texts[n]) == _letters(sentence.words)), None
        )
        if match is None:
            edited.append(sentence)
        else:
            free.discard(match)
            phrases[match] = _carried(sentence, texts[match])
    for sentence in edited:
        likeness = {n: _matcher(sentence.words, texts[n]).ratio() for n in sorted(free)}
        match = max(likeness, key=likeness.__getitem__, default=None)
        if match is not None and likeness[match] >= ALIKE:
            free.discard(match)
            phrases[match] = _carried(sentence, texts[match])
    return tuple(map(Caption, captions, phrases))


def _carried(sentence: Sentence, caption: tuple[str, ...]) -> tuple[Phrase, ...]:
    """The phrases of a sentence at their places in a caption: those all of whose words are
    there, side by side."""
    if sentence.words == caption:
        return sentence.phrases
    moved = {
        block.a + step: block.b + step
        for block in _matcher(sentence.words, caption).get_matching_blocks()
        for step in range(block.size)
    }
    carried = []
    for phrase in sentence.phrases:
        places = [moved.get(word, -1) for word in range(phrase.start, phrase.end)]
        if places[0] >= 0 and places == list(range(places[0], places[0] + len(places))):
            carried.append(Phrase(places[0], places[-1] + 1, phrase.boxes))
    return tuple(carried)


def _matcher(left: tuple[str, ...], right: tuple[str, ...]) -> SequenceMatcher[str]:
    return SequenceMatcher(None, left, right, autojunk=False)


def _letters(text: Sequence[str]) -> str:
    return "".join(filter(str.isalnum, "".join(text)))


def _parse_sentence(line: str, boxes: dict[str, tuple[Box, ...]]) -> Sentence:
    found: list[str] = []
    phrases: list[Phrase] = []
    done = 0
    for chunk in _CHUNK.finditer(line):
        found += words(normalised(line[done : chunk.start()]))
        done = chunk.end()
        start = len(found)
        found += words(normalised(chunk[2]))
        if chunk[1] in boxes and len(found) > start:
            phrases.append(Phrase(start, len(found), boxes[chunk[1]]))
    found += words(normalised(line[done:]))
    return Sentence(tuple(found), tuple(phrases))


def _parse_boxes(data: bytes, where: str) -> tuple[int, int, dict[str, tuple[Box, ...]], int]:
    """Width, height, the boxes of every entity that has some, and the number of boxes."""
    from defusedxml import ElementTree

    try:
        root = ElementTree.fromstring(data)
        width, height = _number(root, "size/width"), _number(root, "size/height")
        boxes: dict[str, tuple[Box, ...]] = {}
        count = 0
        for thing in root.iter("object"):
            bounds = thing.find("bndbox")
            if bounds is None:
                continue  # a scene, or something not in the picture
            count += 1
            box = _box(bounds, width, height)
            for name in thing.findall("name"):
                boxes[name.text or ""] = (*boxes.get(name.text or "", ()), box)
    except (ElementTree.ParseError, ValueError, AssertionError) as error:
        raise UsageError(
            f"not an annotation of Flickr30k Entities ({error})", where=where
        ) from None
    return width, height, boxes, count


def _box(bounds: Element, width: int, height: int) -> Box:
    # Pixels are counted from 1, and both ends belong to the box.
    left, top = _number(bounds, "xmin") - 1, _number(bounds, "ymin") - 1
    right, bottom = _number(bounds, "xmax"), _number(bounds, "ymax")
    return Box(
        max(0, left) / width,
        max(0, top) / height,
        min(right, width) / width,
        min(bottom, height) / height,
    )


def _number(element: Element, name: str) -> int:
    text = element.findtext(name)
    if text is None:
        raise ValueError(f"no {name}")
    return int(text)


class Flickr8kOptions(DatasetOptions):
    size: int = Field(64, ge=16, le=512, description="width and height of pictures in pixels")
    regions: Literal["none", "test", "all"] = Field(
        "test", description="splits whose captions get the boxes of Flickr30k Entities"
    )


@datasets("captioning").register("flickr8k")
class Flickr8k(ScannedDataset[CaptionCorpus]):
    """8,000 photos with five captions each, in the published splits."""

    name = "flickr8k"
    summary = "photos of people and animals, five captions each; boxes per phrase"
    licence = "research and education only"
    citation = "Hodosh, Young and Hockenmaier (2013), JAIR 47; Plummer et al. (2015), ICCV"
    gold = True
    card = FLICKR8K
    places = ("flickr8k", TOKENS)
    Options = Flickr8kOptions

    @classmethod
    def scan(cls, options: Flickr8kOptions, data_root: Path | None) -> Scan[CaptionCorpus]:
        """Read captions, lists and annotations. Photos that are listed but absent are left out,
        as are phrases whose words the captions do not have; both are counted in the notes.

        Raises UsageError: a file of the distribution is missing or cannot be used.
        """
        root = _root(required_root(data_root, cls.name, "flickr8k/"))
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
            splits[split] = []
            for name in present:
                if name in groups:
                    splits[split].append(described(name, photos, groups[name]))
                else:
                    what = f"'{name}' has no caption in {TOKENS}"
                    remedy = "add captions or take it off the list"
                    problems.append(Problem(what, str(where), "photos without captions", remedy))
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
    return list(dict.fromkeys(line.strip() for _, line in read_lines(path) if line.strip()))


def _overlaps(root: Path, listed: Mapping[str, Sequence[str]]) -> list[Problem]:
    """Photos in more than one list: a test on them would be a test on training data."""
    homes: dict[str, str] = {}
    return [
        Problem(
            f"'{name}' is in {LISTS[homes[name]]} too",
            str(root / LISTS[split]),
            "photos in two lists",
            "keep each photo in one list",
        )
        for split, names in listed.items()
        for name in names
        if homes.setdefault(name, split) != split
    ]


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
            if annotated is not None:
                captions = place(annotated, picture.references)
                boxes += annotated.boxes
                phrases += annotated.phrases
                lost += annotated.phrases - sum(len(caption.phrases) for caption in captions)
                size = (annotated.width, annotated.height)
                picture = replace(picture, captions=captions, original=size)
            placed[split].append(picture)
    note = (
        f"Flickr30k Entities: {boxes} boxes, {phrases} phrases with boxes, "
        f"{lost} of them not found in the captions"
    )
    return placed, [note]

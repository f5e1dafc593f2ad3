"""What every captioning data set gives: pictures with captions, and regions for their phrases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from tasks.data.cache import digest, digest_texts
from tasks.data.tokenizer import words


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
        """The words that phrases count, as every tokeniser of `tasks.text` reports them (a
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
        image: file or drawing; its pixels come from `tasks.captioning.images.pixels`.
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


@dataclass(frozen=True)
class CaptionCorpus:
    """A captioning data set.

    Attributes:
        tests: test sets by name; the first one gives the headline figure.
        size: width and height in pixels that pictures are brought to.
        notes: what a reader of the results must know (photos missing, phrases not placed, ...).
    """

    train: Sequence[Picture]
    validation: Sequence[Picture]
    tests: Mapping[str, Sequence[Picture]]
    size: int
    notes: tuple[str, ...] = ()

    @property
    def splits(self) -> dict[str, Sequence[Picture]]:
        """Every split by name, in a fixed order: train, validation, the test sets."""
        return {"train": self.train, "validation": self.validation, **self.tests}

    def limited(self, train: int = 0, test: int = 0) -> CaptionCorpus:
        """The first `train` training pictures and the first `test` of every test set; 0 is all."""
        return replace(
            self,
            train=self.train[:train] if train else self.train,
            tests={name: part[:test] if test else part for name, part in self.tests.items()},
        )

    @cached_property
    def fingerprint(self) -> str:
        """Digest of every name, caption and region and of their order; hexadecimal. Pixels have
        one of their own (`tasks.captioning.images.Pixels`)."""
        return digest(
            "captions",
            self.size,
            [[name, digest_texts(_fields(part))] for name, part in self.splits.items()],
        )


def _fields(pictures: Sequence[Picture]) -> Iterator[str]:
    for picture in pictures:
        yield picture.id
        for caption in picture.captions:
            yield caption.text
            yield repr(caption.phrases)


def median_length(captions: Sequence[Caption]) -> int:
    """The median number of words (the upper one of two)."""
    lengths = sorted(len(caption.words) for caption in captions)
    return lengths[len(lengths) // 2]

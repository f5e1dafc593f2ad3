"""The pixels of a corpus: all pictures of a split in one array, cached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL

from bench.errors import UsageError
from tasks.captioning.datasets import UNREADABLE, CaptionCorpus, Drawn, Picture
from tasks.captioning.pictures import Ranges, grey_ranges, read_picture
from tasks.data.cache import cached, cached_json, digest
from tasks.data.problems import Problem, summary

# Raised when the same pictures would give other pixels than before.
VERSION = 2
# Pictures brought into memory at once.
CHUNK = 256


@dataclass(frozen=True)
class Pixels:
    """The pictures of a split.

    Attributes:
        array: N,size,size,3 uint8 RGB, memory-mapped read-only; index it with a batch's places
            to get a copy.
        fingerprint: digest of all that the array depends on.
    """

    array: np.ndarray
    fingerprint: str


def pixels(
    pictures: Sequence[Picture], size: int, cache: Path, ranges: Ranges | None = None
) -> Pixels:
    """All pictures as squares of `size` pixels, squashed where they are not square.

    Args:
        cache: folder for prepared data. Files are named by what they are made from (the content of
            every picture file; the scene of every drawing), so a picture that was changed is read
            anew; several processes may ask at once.
        ranges: the grey levels that are black and white in pictures that are not 8-bit; each
            picture's own by default.

    Raises:
        UsageError: pictures that cannot be read, counted, the first named; the cache cannot be
            written.
    """
    images = [picture.image_digest for picture in pictures]
    key = digest("pixels", VERSION, PIL.__version__, size, images, ranges or {})
    folder = cache / "pictures"
    path = cached(folder, key, lambda target: _write(target, pictures, size, ranges), suffix=".npy")
    return Pixels(np.load(path, mmap_mode="r"), key)


def ranges_of(corpus: CaptionCorpus, cache: Path) -> Ranges:
    """The grey levels that are black and white in a corpus, found once."""
    files = [one for one in corpus.examples() if isinstance(one.image, Path)]
    if not files:
        return {}
    images = [one.image_digest for one in files]
    key = digest("grey ranges", VERSION, PIL.__version__, images)
    found: Ranges = cached_json(cache / "pictures", key, lambda: grey_ranges(corpus.files()))
    return found


def _write(path: Path, pictures: Sequence[Picture], size: int, ranges: Ranges | None) -> None:
    shape = (len(pictures), size, size, 3)
    stack = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    problems: list[Problem] = []
    for start in range(0, len(pictures), CHUNK):
        part = slice(start, start + CHUNK)
        stack[part], wrong = read_pixels(pictures[part], size, ranges)
        problems += wrong
    if problems:
        raise summary(problems)
    stack.flush()


def read_pixels(
    pictures: Sequence[Picture], size: int, ranges: Ranges | None = None
) -> tuple[np.ndarray, list[Problem]]:
    """Pictures as N,size,size,3 uint8 RGB, and what is wrong with those that cannot be read, which
    are black."""
    stack = np.zeros((len(pictures), size, size, 3), dtype=np.uint8)
    problems: list[Problem] = []
    drawings: dict[int, Drawn] = {}
    for number, picture in enumerate(pictures):
        if isinstance(picture.image, Drawn):
            drawings[number] = picture.image
            continue
        try:
            stack[number] = read_picture(picture.image, size, ranges)
        except UsageError as error:
            problems.append(Problem.of(error, UNREADABLE))
    if drawings:
        kind = type(next(iter(drawings.values())))
        stack[list(drawings)] = kind.draw(list(drawings.values()), size)
    return stack, problems

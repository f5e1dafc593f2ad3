"""`attnbench data check` for captioning: everything that is wrong, with file and line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.captioning.corpus import CaptionCorpus
from tasks.captioning.images import UNREADABLE, read_picture
from tasks.data.readers import all_problems
from tasks.problems import Problem

# Pictures that agree in this many pixels a side are the same picture.
THUMBNAIL = 32


def check(dataset: str, data_root: Path | None, options: DatasetOptions) -> list[str]:
    """All problems of a data set, one line each; none means that it can be used.

    Every picture is decoded, which `load` leaves to the first training.

    Raises:
        UsageError: there is no such data set.
    """
    return all_problems(datasets("captioning").get(dataset), options, data_root, _picture_problems)


def _picture_problems(corpus: CaptionCorpus) -> Iterator[Problem]:
    """Files that are no pictures, and pictures that are in two splits."""
    first: dict[bytes, tuple[str, Path]] = {}
    for split, pictures in corpus.splits.items():
        for picture in pictures:
            path = picture.image
            if not isinstance(path, Path):
                continue  # drawn
            try:
                pixels = read_picture(path, THUMBNAIL)
            except UsageError as error:
                yield Problem.of(error, UNREADABLE)
                continue
            other, place = first.setdefault(
                hashlib.sha256(pixels.tobytes()).digest(), (split, path)
            )
            if other != split:
                yield Problem(
                    f"this picture of {split} is also in {other} ({place.name})",
                    str(path),
                    "pictures in two splits",
                    "keep it in one",
                )

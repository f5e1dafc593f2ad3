"""`attnbench data check` for captioning: everything that is wrong, with file and line."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.errors import UsageError
from tasks.base import DatasetOptions
from tasks.captioning.corpus import CaptionCorpus
from tasks.captioning.images import picture_problem, read_picture
from tasks.captioning.problems import CaptionFiles, Problem, Scan
from tasks.registries import datasets

#: Problems of one kind that are listed; of the others only the number is given.
LISTED = 20
# Pictures that agree in this many pixels a side are the same picture.
THUMBNAIL = 32


def check(dataset: str, data_root: Path | None, options: DatasetOptions) -> list[str]:
    """Problems of a data set, one line each; none means that it can be used.

    Every picture is decoded, which `load` leaves to the first training.

    Raises:
        UsageError: there is no such data set.
    """
    kind = datasets("captioning").get(dataset)
    try:
        # Other people's data sets may have no scan; they can only be tried.
        if issubclass(kind, CaptionFiles):
            found = kind.scan(options, data_root)
        else:
            found = Scan(kind.load(options, data_root))
    except UsageError as error:
        return [str(error)]
    problems = list(found.problems)
    if found.corpus is not None:
        problems += _picture_problems(found.corpus)
    return _listed(problems)


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
                yield picture_problem(error)
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


def _listed(problems: Sequence[Problem]) -> list[str]:
    lines = []
    for kind in dict.fromkeys(problem.kind for problem in problems):
        alike = [problem for problem in problems if problem.kind == kind]
        lines += [str(problem) for problem in alike[:LISTED]]
        if len(alike) > LISTED:
            lines.append(f"and {len(alike) - LISTED} more {kind}")
    return lines

"""What can be wrong with a data set's files, and the base of the data sets that are read."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions
from tasks.captioning.corpus import CaptionCorpus


@dataclass(frozen=True)
class Problem:
    """Something wrong with a data set's files.

    Attributes:
        what: the sentence, without its full stop.
        where: file, or file:line.
        kind: plural noun that counts problems of the same sort ("captions without words").
        remedy: what would do.
    """

    what: str
    where: str
    kind: str
    remedy: str = ""

    def __str__(self) -> str:
        return str(UsageError(self.what, where=self.where, remedy=self.remedy))


@dataclass(frozen=True)
class Scan:
    """What reading a data set's texts gave: the corpus of what is usable (None where too little
    is), and everything that is wrong. Pictures are not opened for it."""

    corpus: CaptionCorpus | None
    problems: tuple[Problem, ...] = ()


class CaptionFiles(Dataset):
    """A captioning data set that is read from files. Subclasses write `scan`."""

    @classmethod
    @abstractmethod
    def scan(cls, options: Any, data_root: Path | None) -> Scan:
        """Read the texts and gather everything that is wrong with them.

        Raises UsageError where there is nothing to scan at all.
        """

    @classmethod
    def load(cls, options: DatasetOptions, data_root: Path | None) -> CaptionCorpus:
        """The corpus. Raises UsageError: the first problem, with a count of those of its kind."""
        found = cls.scan(options, data_root)
        if found.problems:
            raise summary(found.problems)
        assert found.corpus is not None, "a scan without problems has a corpus"
        return found.corpus


def summary(problems: Sequence[Problem]) -> UsageError:
    """One error for many problems: the first, and how many there are of its kind."""
    first = problems[0]
    alike = sum(problem.kind == first.kind for problem in problems)
    what = first.what if alike == 1 else f"{alike} {first.kind}, the first: {first.what}"
    return UsageError(what, where=first.where, remedy=first.remedy)


def required_root(data_root: Path | None, name: str) -> Path:
    """The data root of a data set that needs one. Raises UsageError without it."""
    if data_root is None:
        raise UsageError(
            f"data set '{name}' is read from a folder",
            where="--data-root",
            remedy="give the folder that holds it",
        )
    if not data_root.is_dir():
        raise UsageError("no such folder", where=f"--data-root {data_root}")
    return data_root

"""What can be wrong with a data set's files, and data sets that say all of it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import Any, Generic, TypeVar

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions

Corpus = TypeVar("Corpus")


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

    @classmethod
    def of(cls, error: UsageError, kind: str) -> Problem:
        """An error as a problem, to be counted with its like."""
        return cls(error.what, error.where, kind, error.remedy)

    def __str__(self) -> str:
        return str(UsageError(self.what, where=self.where, remedy=self.remedy))


@dataclass(frozen=True)
class Scan(Generic[Corpus]):
    """What reading a data set's texts and headers gave: the corpus of what is usable (None where
    too little is), and everything that is wrong. Neither pictures nor sounds are decoded for it."""

    corpus: Corpus | None
    problems: tuple[Problem, ...] = ()


class ScannedDataset(Dataset, Generic[Corpus]):
    """A data set that is read from files. Subclasses write `scan`; `load` refuses what it finds."""

    @classmethod
    @abstractmethod
    def scan(cls, options: Any, data_root: Path | None) -> Scan[Corpus]:
        """Read texts and headers, and gather everything that is wrong with them.

        Raises UsageError where there is nothing to scan at all.
        """

    @classmethod
    def load(cls, options: DatasetOptions, data_root: Path | None) -> Corpus:
        """The corpus. Raises UsageError: the first problem, with a count of those of its kind."""
        found = cls.scan(options, data_root)
        if found.problems:
            raise summary(found.problems)
        if found.corpus is None:
            raise UsageError(f"data set '{cls.name}' holds no examples", where=str(data_root))
        return found.corpus


def all_problems(
    kind: type[Dataset],
    options: DatasetOptions,
    data_root: Path | None,
    closer: Callable[[Any], Iterable[Problem]],
) -> list[str]:
    """Everything wrong with a data set, one line each; none means that it can be used.

    Args:
        closer: finds what only shows when a corpus is looked at closely (its pictures decoded).
    """
    try:
        # Other people's data sets may have no scan; they can only be tried.
        if issubclass(kind, ScannedDataset):
            found = kind.scan(options, data_root)
        else:
            found = Scan(kind.load(options, data_root))
    except UsageError as error:
        return [str(error)]
    problems = list(found.problems)
    if found.corpus is not None:
        problems += closer(found.corpus)
    elif not problems:
        problems.append(Problem("holds no examples", str(data_root), "empty data sets"))
    return in_turn(problems)


def summary(problems: Sequence[Problem]) -> UsageError:
    """One error for many problems: the first, and how many there are of its kind."""
    first = problems[0]
    alike = sum(problem.kind == first.kind for problem in problems)
    what = first.what if alike == 1 else f"{alike} {first.kind}, the first: {first.what}"
    return UsageError(what, where=first.where, remedy=first.remedy)


def in_turn(problems: Iterable[Problem]) -> list[str]:
    """A line for every problem: the first of each kind, then the second of each kind, ..., so that
    the first few lines show all that can be wrong. The same line is never said twice."""
    kinds: dict[str, list[str]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(str(problem))
    turns = chain.from_iterable(zip_longest(*kinds.values()))
    return list(dict.fromkeys(line for line in turns if line is not None))


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

"""All that is wrong with the files of a data set, gathered and counted by kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Generic, TypeVar

from bench.errors import UsageError

CorpusT = TypeVar("CorpusT")

#: Told of a line that cannot be used; the line is passed over if it returns.
OnError = Callable[[UsageError], None]


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
        """The problem that an error tells of, counted among those of `kind`."""
        return cls(error.what, error.where, kind, error.remedy)

    def __str__(self) -> str:
        return str(UsageError(self.what, where=self.where, remedy=self.remedy))


@dataclass(frozen=True)
class Scan(Generic[CorpusT]):
    """What reading a data set's texts and headers gave: the corpus of what is usable (None where
    too little is), and everything that is wrong. Neither pictures nor sounds are decoded for it."""

    corpus: CorpusT | None
    problems: tuple[Problem, ...] = ()


def fail(error: UsageError) -> None:
    """Raise the error: for readers that accept no unusable line."""
    raise error


def collect(problems: list[Problem], kind: str = "problems") -> OnError:
    """An `OnError` that adds every error to a list of problems."""
    return lambda error: problems.append(Problem.of(error, kind))


def summary(problems: Sequence[Problem]) -> UsageError:
    """One error for many problems: the first, and how many there are of its kind."""
    first = problems[0]
    alike = sum(problem.kind == first.kind for problem in problems)
    what = first.what if alike == 1 else f"{alike} {first.kind}, the first: {first.what}"
    return UsageError(what, where=first.where, remedy=first.remedy)


def interleaved(problems: Iterable[Problem]) -> list[str]:
    """A line for every problem: the first of each kind, then the second of each kind, ..., so that
    the first few lines show all that can be wrong. The same line is never said twice."""
    kinds: dict[str, list[str]] = {}
    for problem in problems:
        kinds.setdefault(problem.kind, []).append(str(problem))
    turns = chain.from_iterable(zip_longest(*kinds.values()))
    return list(dict.fromkeys(line for line in turns if line is not None))

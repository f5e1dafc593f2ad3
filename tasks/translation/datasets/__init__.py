"""What the translation data sets have in common: pairs of sentences, links where they are known,
and how line-parallel files are read (line n of one translates line n of the other)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions
from tasks.data.cache import digest, digest_texts
from tasks.data.lines import TextLines
from tasks.data.rows import ParallelLines, RowExamples, TextRow, filled_rows
from tasks.data.tokenizer import words

#: Pairs (target word, source word), counted from 0.
Links = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Pair:
    """A sentence and its translation, as plain text.

    Attributes:
        id: name within its split ("test-17", a line number, ...).
        links: which words belong together; None where nothing is known.
    """

    id: str
    source_text: str
    target_text: str
    links: Links | None = None

    @property
    def source(self) -> tuple[str, ...]:
        """The words that links count, punctuation being words too."""
        return words(self.source_text)

    @property
    def target(self) -> tuple[str, ...]:
        return words(self.target_text)


@dataclass(frozen=True)
class Corpus:
    """A translation data set.

    Attributes:
        tests: test sets by name; the first one gives the headline figure.
        sure: whether links are between words that translate each other; otherwise they join all
            words of phrases that belong together, and are possible links only.
        notes: what a reader of the results must know (pairs dropped, links not found, ...).
    """

    name: str
    source_language: str
    target_language: str
    train: Sequence[Pair]
    validation: Sequence[Pair]
    tests: Mapping[str, Sequence[Pair]]
    sure: bool = True
    notes: tuple[str, ...] = ()

    def limited(self, train: int = 0, test: int = 0) -> Corpus:
        """The first `train` training pairs and the first `test` of every test set; 0 is all."""
        return replace(
            self,
            train=self.train[:train] if train else self.train,
            tests={name: pairs[:test] if test else pairs for name, pairs in self.tests.items()},
        )

    @cached_property
    def fingerprint(self) -> str:
        """Digest of every pair, its links and the order; hexadecimal."""
        splits = {"train": self.train, "validation": self.validation, **self.tests}
        return digest(
            "corpus",
            list(splits),
            [digest_texts(_fields(pairs)) for pairs in splits.values()],
            self.sure,
        )


def _fields(pairs: Sequence[Pair]) -> Iterator[str]:
    for pair in pairs:
        yield pair.source_text
        yield pair.target_text
        yield repr(pair.links)


# From rows of texts to pairs: what the readers of real data sets share.


@dataclass(frozen=True)
class PairBuilder:
    """Builds the pairs of rows of texts.

    Attributes:
        source, target: which of a row's texts is which.
        links: by row, where they are known.
    """

    source: int = 0
    target: int = 1
    links: Mapping[int, Links] = field(default_factory=dict)

    def __call__(self, name: str, row: int, texts: TextRow) -> Pair:
        return Pair(name, texts[self.source], texts[self.target], self.links.get(row))


class LinesDataset(Dataset):
    """Base of the data sets of line-parallel files. Subclasses name the files."""

    @classmethod
    @abstractmethod
    def files(cls, options: Any, data_root: Path | None) -> dict[str, tuple[Path, Path]]:
        """Source and target file of every split that has files."""

    @classmethod
    def read(cls, options: DatasetOptions, data_root: Path | None) -> dict[str, RowExamples[Pair]]:
        """The pairs of every split that has files. Raises UsageError as `read_pairs`."""
        files = cls.files(options, data_root).items()
        return {split: read_pairs(source, target, split) for split, (source, target) in files}


def read_pairs(source: Path, target: Path, split: str) -> RowExamples[Pair]:
    """The pairs of two files; lines that are blank in both are left out.

    Raises UsageError: the first of `line_problems`, or that every line is blank.
    """
    for problem in line_problems(source, target):
        raise problem
    lines = ParallelLines((TextLines(source), TextLines(target)))
    rows = np.flatnonzero(filled_rows(lines))
    if not len(rows):
        raise UsageError("every line is blank", where=str(source))
    return RowExamples(split, lines, rows, PairBuilder())


def line_problems(source: Path, target: Path) -> Iterator[UsageError]:
    """All that keeps two files from being used, each saying where and what would do."""
    readable: list[TextLines] = []
    for path in (source, target):
        try:
            lines = TextLines(path)
            lines.check()
            readable.append(lines)
        except UsageError as error:
            yield error
    if len(readable) == 2:
        yield from _mismatches(*readable)


def _mismatches(source: TextLines, target: TextLines) -> Iterator[UsageError]:
    if len(source) != len(target):
        yield UsageError(
            f"{len(source)} lines, but {target.path.name} has {len(target)}",
            where=str(source.path),
            remedy="line n of one file must translate line n of the other",
        )
        return
    for number, (left, right) in enumerate(zip(source, target, strict=True), start=1):
        if bool(left.strip()) == bool(right.strip()):
            continue
        blank, other = (target, source) if left.strip() else (source, target)
        yield UsageError(
            f"the line is blank, but has a counterpart in {other.path.name}",
            where=f"{blank.path}:{number}",
            remedy="fill it, or remove the line from both files",
        )

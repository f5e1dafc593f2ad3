"""What the translation data sets have in common: pairs of sentences, links where they are known,
and how line-parallel files are read (line n of one translates line n of the other)."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, starmap
from pathlib import Path
from typing import Any

import numpy as np

from bench.errors import UsageError, blank
from tasks.base import Corpus, ScannedDataset
from tasks.data.lines import TextLines, TextRow
from tasks.data.overlap import Overlap, count_overlaps
from tasks.data.problems import Problem, Scan
from tasks.data.rows import ParallelLines, RowExamples, filled_rows
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

    def content(self) -> Iterator[str]:
        yield self.source_text
        yield self.target_text
        yield repr(self.links)


@dataclass(frozen=True, kw_only=True)
class TranslationCorpus(Corpus[Pair]):
    """Pairs by split.

    Attributes:
        sure: whether links are between words that translate each other; otherwise they join all
            words of phrases that belong together, and are possible links only.
        answer_every: n where every n-th word of a target is an answer that is right or wrong at its
            place, so that outputs are also judged word by word (`token_accuracy`); 0 elsewhere.
    """

    source_language: str
    target_language: str
    sure: bool = True
    answer_every: int = 0

    def traits(self) -> Sequence[Any]:
        return (self.source_language, self.target_language, self.sure)

    def overlaps(self) -> Iterator[Overlap]:
        return count_overlaps(self.splits, lambda pair: (pair.source_text, pair.target_text))


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


class LinesDataset(ScannedDataset[TranslationCorpus]):
    """Base of the data sets of line-parallel files. Subclasses name the files, and make a corpus
    of their pairs."""

    @classmethod
    @abstractmethod
    def files(cls, options: Any, data_root: Path | None) -> dict[str, tuple[Path, Path]]:
        """Source and target file of every split that has files."""

    @classmethod
    @abstractmethod
    def corpus(
        cls, options: Any, data_root: Path | None, splits: dict[str, RowExamples[Pair]]
    ) -> TranslationCorpus:
        """The corpus of the pairs of every split that has files."""

    @classmethod
    def scan(cls, options: Any, data_root: Path | None) -> Scan[TranslationCorpus]:
        files = cls.files(options, data_root)
        errors = chain.from_iterable(starmap(line_problems, files.values()))
        problems = tuple(Problem.of(error, "problems") for error in errors)
        if problems:
            return Scan(None, problems)
        splits = {split: read_pairs(*paths, split) for split, paths in files.items()}
        return Scan(cls.corpus(options, data_root, splits))


def read_pairs(source: Path, target: Path, split: str) -> RowExamples[Pair]:
    """The pairs of two files; lines that are blank in both are left out.

    Raises UsageError: every line is blank. Other faults are found by `line_problems`.
    """
    lines = ParallelLines((TextLines(source, texts=True), TextLines(target, texts=True)))
    rows = np.flatnonzero(filled_rows(lines))
    if not len(rows):
        raise UsageError("every line is blank", where=str(source))
    return RowExamples(split, lines, rows, PairBuilder())


def line_problems(source: Path, target: Path) -> Iterator[UsageError]:
    """All that keeps two files from being used, each saying where and what would do."""
    readable: list[TextLines] = []
    for path in (source, target):
        try:
            lines = TextLines(path, texts=True)
        except UsageError as error:
            yield error
            continue
        found = list(lines.problems())
        yield from found
        if not found:
            readable.append(lines)
    if len(readable) < 2:
        return
    left, right = readable
    if len(left) != len(right):
        yield UsageError(
            f"{len(left)} lines, but {target.name} has {len(right)}",
            where=str(source),
            remedy="line n of one file must translate line n of the other",
        )
        return
    for number, (first, second) in enumerate(zip(left, right, strict=True), start=1):
        if blank(first) == blank(second):
            continue
        empty, other = (source, target) if blank(first) else (target, source)
        yield UsageError(
            f"the line is blank, but has a counterpart in {other.name}",
            where=f"{empty}:{number}",
            remedy="fill it, or remove the line from both files",
        )

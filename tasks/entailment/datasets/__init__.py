"""What the entailment data sets have in common: labelled pairs of sentences, with gold links where
they are known, and how rows of files become pairs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np

from bench.errors import UsageError, blank
from tasks.base import Corpus, ScannedDataset
from tasks.data.overlap import Overlap, count_overlaps
from tasks.data.problems import OnError, Problem, Scan, collect
from tasks.data.readers import Row
from tasks.data.tokenizer import plain_words
from tasks.data.unicode import lowered

Label = Literal["entailment", "neutral", "contradiction"]
#: In the order of the class indices everywhere.
LABELS: tuple[Label, ...] = get_args(Label)


@dataclass(frozen=True, slots=True)
class PairExample:
    """A premise and a hypothesis.

    Attributes:
        id: unique in its split.
        premise, hypothesis: plain words (`tasks.data.tokenizer`): never empty.
        label: None only in sets made for alignment (`EntailmentCorpus.aligned`).
        links: pairs (hypothesis word, premise word) that belong together; None: nothing known.
    """

    id: str
    premise: tuple[str, ...]
    hypothesis: tuple[str, ...]
    label: Label | None
    links: tuple[tuple[int, int], ...] | None = None

    @property
    def class_index(self) -> int:
        """Place of the label in `LABELS`."""
        assert self.label is not None, f"{self.id} has no label"
        return LABELS.index(self.label)

    @property
    def premise_text(self) -> str:
        return " ".join(self.premise)

    @property
    def hypothesis_text(self) -> str:
        return " ".join(self.hypothesis)

    def content(self) -> Iterator[str]:
        yield self.premise_text
        yield self.hypothesis_text
        yield f"{self.label} {self.links}"


Pairs = tuple[PairExample, ...]


@dataclass(frozen=True, kw_only=True)
class EntailmentCorpus(Corpus[PairExample]):
    """Pairs by split.

    Attributes:
        aligned: further sets by name whose gold links are judged and whose labels are not.
    """

    aligned: Mapping[str, Pairs] = field(default_factory=dict)

    def limited(self, train: int = 0, test: int = 0) -> Self:
        """The first `train` training pairs and the first `test` of every other set; 0 is all."""
        aligned = {name: pairs[:test] if test else pairs for name, pairs in self.aligned.items()}
        return replace(super().limited(train, test), aligned=aligned)

    def traits(self) -> Sequence[Any]:
        return [
            [name, [list(pair.content()) for pair in pairs]] for name, pairs in self.aligned.items()
        ]

    def overlaps(self) -> Iterator[Overlap]:
        """Overlaps; an input is premise and hypothesis together, since many pairs share one."""
        return count_overlaps(self.splits, _texts)


def _texts(pair: PairExample) -> tuple[str, str]:
    return f"{pair.premise_text} ||| {pair.hypothesis_text}", str(pair.label)


def gold_classes(pairs: Sequence[PairExample]) -> np.ndarray:
    """N int64 class indices in the order of `LABELS`."""
    return np.fromiter((pair.class_index for pair in pairs), dtype=np.int64, count=len(pairs))


# From rows of a file to pairs: what the readers of sick, snli and people's own files share.

#: How SNLI marks pairs on which its annotators did not agree.
NO_GOLD = "-"
#: Share of the training pairs that becomes validation data where none is given.
HELD_OUT = 0.1


@dataclass(frozen=True)
class Columns:
    """Names of the columns, and the labels by the values that stand for them, lower-case."""

    premise: str
    hypothesis: str
    label: str
    values: Mapping[str, Label] = field(default_factory=lambda: {label: label for label in LABELS})

    @property
    def names(self) -> tuple[str, str, str]:
        return self.premise, self.hypothesis, self.label


@dataclass
class PairReader:
    """Makes pairs of the rows of a data set's files or splits.

    Attributes:
        on_error: told of rows with a missing column, an unknown label, an empty sentence.
        unlabelled: how many pairs were dropped for want of a gold label.
    """

    columns: Columns
    on_error: OnError
    unlabelled: int = 0

    def read(self, rows: Iterable[Row], prefix: str) -> Pairs:
        """Pairs with ids `<prefix>-<line>`; those labelled "-" are dropped and counted.

        Raises UsageError: not one pair can be used.
        """
        pairs: list[PairExample] = []
        row: Row | None = None
        for row in rows:
            try:
                value = row.text(self.columns.label)
                if value.strip() == NO_GOLD:
                    self.unlabelled += 1
                    continue
                premise = _sentence(row, self.columns.premise)
                hypothesis = _sentence(row, self.columns.hypothesis)
                label = self.columns.values.get(lowered(value.strip()))
                if label is None:
                    remedy = f"known: {', '.join(self.columns.values)}"
                    raise UsageError(f"unknown label '{value}'", where=row.where, remedy=remedy)
            except UsageError as error:
                self.on_error(error)
            else:
                pairs.append(PairExample(f"{prefix}-{row.line}", premise, hypothesis, label))
        if not pairs:
            where = "" if row is None else str(row.path)
            raise UsageError("no pair with a gold label can be used", where=where)
        return tuple(pairs)

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes for reports on what was read."""
        dropped = f"{self.unlabelled} pairs without a gold label ('-') dropped"
        return ("words are lower-cased", *([dropped] if self.unlabelled else ()))


def _sentence(row: Row, column: str) -> tuple[str, ...]:
    """The words of a column. Raises UsageError if there are none."""
    text = row.text(column)
    found = plain_words(text)
    if not found or blank(text):
        raise UsageError(f"column '{column}' is empty", where=row.where, remedy="remove the line")
    return found


def hold_out(pairs: Sequence[PairExample], where: str) -> tuple[Pairs, Pairs]:
    """Training and validation pairs: the last ones by order of their premise's first appearance.

    No premise is on both sides, since pairs that share one are not independent.

    Raises UsageError naming `where`: fewer than two premises.
    """
    order = {
        premise: place for place, premise in enumerate(dict.fromkeys(p.premise for p in pairs))
    }
    if len(order) < 2:
        raise UsageError("needs two different premises, one to be held out", where=where)
    border = min(round(len(order) * (1 - HELD_OUT)), len(order) - 1)
    train = tuple(pair for pair in pairs if order[pair.premise] < border)
    return train, tuple(pair for pair in pairs if order[pair.premise] >= border)


class PairsDataset(ScannedDataset[EntailmentCorpus]):
    """Base of the data sets whose pairs are rows of files. Subclasses write `read`."""

    @classmethod
    @abstractmethod
    def read(cls, options: Any, data_root: Path | None, on_error: OnError) -> EntailmentCorpus:
        """All pairs that can be used.

        Args:
            on_error: told of those that cannot; they are passed over if it returns.

        Raises UsageError: a file is missing, or holds nothing that can be used.
        """

    @classmethod
    def scan(cls, options: Any, data_root: Path | None) -> Scan[EntailmentCorpus]:
        problems: list[Problem] = []
        on_error = collect(problems)
        corpus = None
        try:
            corpus = cls.read(options, data_root, on_error)
        except UsageError as error:
            on_error(error)
        return Scan(corpus, tuple(problems))

"""What every entailment data set gives: labelled pairs of sentences, with gold links if known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, get_args

from bench.errors import UsageError
from tasks.cache import digest, digest_texts

Label = Literal["entailment", "neutral", "contradiction"]
#: In the order of the class indices everywhere.
LABELS: tuple[Label, ...] = get_args(Label)


@dataclass(frozen=True, slots=True)
class PairExample:
    """A premise and a hypothesis.

    Attributes:
        id: unique in its part.
        premise, hypothesis: plain words (`tasks.text.plain`): never empty.
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


Pairs = tuple[PairExample, ...]


@dataclass(frozen=True)
class EntailmentCorpus:
    """Pairs by part.

    Attributes:
        tests: test sets by name; the first one gives the headline figure.
        aligned: further sets by name whose gold links are judged and whose labels are not.
        notes: what a report should say of the data (dropped pairs, casing, ...).
    """

    name: str
    train: Pairs
    validation: Pairs
    tests: Mapping[str, Pairs]
    aligned: Mapping[str, Pairs] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.train and self.validation and self.tests and all(self.tests.values())

    def parts(self) -> Iterator[tuple[str, Pairs]]:
        """All labelled parts with their names."""
        yield "train", self.train
        yield "validation", self.validation
        yield from self.tests.items()

    def limited(self, train: int = 0, test: int = 0) -> EntailmentCorpus:
        """The first `train` training pairs and the first `test` of every test set; 0 is all."""
        return replace(
            self,
            train=self.train[:train] if train else self.train,
            tests={name: part[:test] if test else part for name, part in self.tests.items()},
            aligned={name: part[:test] if test else part for name, part in self.aligned.items()},
        )

    @cached_property
    def fingerprint(self) -> str:
        """Digest of every pair, its label, links and the order; hexadecimal."""
        parts = [*self.parts(), *self.aligned.items()]
        return digest("entailment", [(name, digest_texts(_fields(part))) for name, part in parts])


def _fields(pairs: Pairs) -> Iterator[str]:
    for pair in pairs:
        yield " ".join(pair.premise)
        yield " ".join(pair.hypothesis)
        yield f"{pair.label} {pair.links}"


def as_label(value: str, where: str, names: Mapping[str, Label] | None = None) -> Label:
    """The label a file's value stands for, whatever its case.

    Args:
        names: values by the label they stand for, lower-case; None: the labels' own names.

    Raises:
        UsageError: any other value, with the file and line in `where`.
    """
    names = names or {label: label for label in LABELS}
    label = names.get(value.strip().lower())
    if label is None:
        raise UsageError(
            f"unknown label '{value}'", where=where, remedy=f"known: {', '.join(names)}"
        )
    return label

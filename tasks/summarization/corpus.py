"""What every summarization data set gives: documents cut into sentences, and their headlines."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

from tasks.cache import digest, digest_texts

Words = tuple[str, ...]
#: Pairs (summary word, document word), counted from 0 over all sentences.
Links = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Document:
    """A document and its summary in plain words (`tasks.text.plain`).

    Attributes:
        id: unique in its part.
        sentences: words by sentence, none of them empty.
        links: the document words that summary words were taken from; None: nothing is known.
    """

    id: str
    sentences: tuple[Words, ...]
    summary: Words
    links: Links | None = None

    @property
    def words(self) -> Words:
        """All words of the document: S of them."""
        return tuple(chain.from_iterable(self.sentences))

    @property
    def segments(self) -> tuple[int, ...]:
        """S, the sentence of every word, counted from 0."""
        return tuple(number for number, sentence in enumerate(self.sentences) for _ in sentence)

    @property
    def source_text(self) -> str:
        return " ".join(self.words)

    @property
    def summary_text(self) -> str:
        return " ".join(self.summary)


@dataclass(frozen=True)
class Segments:
    """The sentence of every word, for each document of a part, as often as it is gone through."""

    documents: Sequence[Document]

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        return (document.segments for document in self.documents)


@dataclass(frozen=True)
class SummaryCorpus:
    """Documents by part.

    Attributes:
        tests: test sets by name; the first one gives the headline figure.
        notes: what a report should say of the data (casing, documents dropped, ...).
    """

    name: str
    train: Sequence[Document]
    validation: Sequence[Document]
    tests: Mapping[str, Sequence[Document]]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        assert self.train and self.validation and self.tests and all(self.tests.values())

    def parts(self) -> Iterator[tuple[str, Sequence[Document]]]:
        """All parts with their names."""
        yield "train", self.train
        yield "validation", self.validation
        yield from self.tests.items()

    def limited(self, train: int = 0, test: int = 0) -> SummaryCorpus:
        """The first `train` training documents and the first `test` of every test set; 0 is all."""
        return replace(
            self,
            train=self.train[:train] if train else self.train,
            tests={name: part[:test] if test else part for name, part in self.tests.items()},
        )

    @cached_property
    def fingerprint(self) -> str:
        """Digest of every document, its sentences, summary, links and the order; hexadecimal."""
        return digest(
            "summaries",
            [(name, digest_texts(_fields(part))) for name, part in self.parts()],
        )


def _fields(documents: Sequence[Document]) -> Iterator[str]:
    for document in documents:
        yield repr(document.sentences)
        yield repr(document.summary)
        yield repr(document.links)

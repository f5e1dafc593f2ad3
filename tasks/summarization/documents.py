"""What every summarization data set gives: documents cut into sentences, and their headlines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, islice
from typing import overload

import numpy as np

from bench.errors import UsageError
from tasks.data.cache import digest, digest_texts
from tasks.data.tokenizer import plain_words

Words = tuple[str, ...]
#: Pairs (summary word, document word), counted from 0 over all sentences.
Links = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Document:
    """A document and its summary in plain words (`tasks.data.tokenizer`).

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


# Sentences of running text, by rules that suit English news.

# Abbreviations after which a full stop ends no sentence. Months and titles as agencies write them.
_ABBREVIATIONS = frozenset(
    [
        *("mr", "mrs", "ms", "dr", "st", "gen", "col", "lt", "sgt", "sen", "rep", "gov", "prof"),
        *("rev", "jr", "sr", "vs", "no", "inc", "corp", "co", "ltd", "plc", "cie", "bros", "jan"),
        *("feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "ave"),
        *("etc", "approx", "dept", "est", "fig"),
    ]
)
# A stop, quotation marks or brackets that close with it, white space, and a new beginning.
_BORDER = re.compile(r"""([.!?]+["'”’)\]]*)\s+(?=["'“‘(\[]?[A-Z0-9<])""")
_LAST_WORD = re.compile(r"([\w.]+)\.\Z")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text. Text without capitals or figures is left whole."""
    sentences = []
    begin = 0
    for border in _BORDER.finditer(text):
        if border.group(1) == "." and _abbreviated(text[begin : border.end(1)]):
            continue
        sentences.append(text[begin : border.end(1)])
        begin = border.end()
    sentences.append(text[begin:])
    return [sentence.strip() for sentence in sentences if sentence.strip()]


def _abbreviated(sentence: str) -> bool:
    found = _LAST_WORD.search(sentence)
    if found is None:
        return False
    word = found.group(1).lower()
    # "U.S." and initials have a single letter before the stop.
    return word in _ABBREVIATIONS or (len(word.rsplit(".", 1)[-1]) == 1 and not word.isdigit())


# From texts to documents: what the readers of all real data sets share.

#: A source text and its summary: two texts.
TextPair = tuple[str, ...]
#: Share of the training documents that becomes validation data where none is given.
HELD_OUT = 0.1


@dataclass(frozen=True)
class Reading:
    """How texts become words.

    Attributes:
        source_words, summary_words: keep the first so many words; 0 keeps all.
        lower: lower-case both sides. ROUGE takes no notice of case.
        replacements: texts replaced before anything else.
    """

    source_words: int = 0
    summary_words: int = 0
    lower: bool = True
    replacements: tuple[tuple[str, str], ...] = ()

    def document(self, name: str, source: str, summary: str) -> Document:
        """The document of two texts, each of which has words."""
        return Document(
            id=name,
            sentences=self.sentences(source),
            summary=self._words(summary)[: self.summary_words or None],
        )

    def sentences(self, text: str) -> tuple[Words, ...]:
        """Words by sentence; lines are never joined to one sentence."""
        lines = (line for line in text.split("\n") if line.strip())
        sentences = [self._words(part) for line in lines for part in split_sentences(line)]
        return tuple(_first(filter(None, sentences), self.source_words))

    def _words(self, text: str) -> Words:
        for old, new in self.replacements:
            text = text.replace(old, new)
        return plain_words(text, lower=self.lower)


def _first(sentences: Iterable[Words], most: int) -> Iterator[Words]:
    """Sentences up to so many words, the last one cut; 0 is all."""
    room = most or None
    for sentence in sentences:
        if room is None:
            yield sentence
            continue
        if room <= 0:
            return
        yield sentence[:room]
        room -= len(sentence)


@dataclass(frozen=True, eq=False)
class TextDocuments(Sequence[Document]):
    """Documents made from texts as they are asked for; the texts may stay on disk.

    Attributes:
        name: of the part; documents are called `<name>-<row>`, counted from 1.
        texts: all pairs of the file.
        rows: those that belong to the part, ascending.
    """

    name: str
    texts: Sequence[TextPair]
    rows: np.ndarray
    reading: Reading = field(default_factory=Reading)

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> Document: ...
    @overload
    def __getitem__(self, index: slice) -> TextDocuments: ...
    def __getitem__(self, index: int | slice) -> Document | TextDocuments:
        if isinstance(index, slice):
            return replace(self, rows=self.rows[index])
        row = int(self.rows[index])
        return self._document(row, self.texts[row])

    def __iter__(self) -> Iterator[Document]:
        wanted = np.zeros(len(self.texts), dtype=bool)
        wanted[self.rows] = True
        last = int(self.rows.max(initial=-1)) + 1
        for row, pair in enumerate(islice(self.texts, last)):
            if wanted[row]:
                yield self._document(row, pair)

    def _document(self, row: int, pair: TextPair) -> Document:
        return self.reading.document(f"{self.name}-{row + 1}", *pair)


@dataclass(frozen=True)
class Empties:
    """Documents left out because a side has no text: how many, and where the first one is."""

    count: int
    first: str = ""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a report says of them: nothing if there are none."""
        if not self.count:
            return ()
        return (f"{self.count} documents without source or summary left out (first: {self.first})",)


def with_text(
    name: str, texts: Sequence[TextPair], reading: Reading, where: str
) -> tuple[TextDocuments, Empties]:
    """The documents both sides of which have text.

    Args:
        where: the file, to name the first document left out by its number.

    Raises UsageError: none has.
    """
    filled = np.fromiter(
        (_has_words(source) and _has_words(summary) for source, summary in texts), dtype=bool
    )
    rows, missing = np.flatnonzero(filled), np.flatnonzero(~filled)
    if len(rows) == 0:
        raise UsageError("no document has both source and summary", where=where)
    first = f"{where}, number {missing[0] + 1}" if len(missing) else ""
    return TextDocuments(name, texts, rows, reading), Empties(len(missing), first)


def hold_out(documents: TextDocuments, where: str) -> tuple[TextDocuments, TextDocuments]:
    """Training and validation documents: the last tenth is held out.

    Raises UsageError naming `where`: fewer than two documents.
    """
    if len(documents) < 2:
        raise UsageError(
            "needs two documents, one to be held out as validation data",
            where=where,
            remedy="add documents, or give validation_file=",
        )
    border = min(round(len(documents) * (1 - HELD_OUT)), len(documents) - 1)
    return documents[:border], documents[border:]


def _has_words(text: str) -> bool:
    return bool(text.strip())

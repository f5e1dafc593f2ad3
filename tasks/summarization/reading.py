"""From texts to documents: what the readers of all real data sets share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import overload

import numpy as np

from bench.errors import UsageError
from tasks.summarization.corpus import Document, Words
from tasks.summarization.sentences import split_sentences
from tasks.text.plain import plain_words

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

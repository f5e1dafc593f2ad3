"""What the summarization data sets have in common: documents cut into sentences with their
summaries, and how texts become documents."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import ClassVar

import numpy as np
import regex
from pydantic import Field

from bench.errors import UsageError
from tasks.base import Corpus, Dataset
from tasks.data.hub import Card, CardOptions, provenance_note, read_split
from tasks.data.lines import TextRow
from tasks.data.overlap import Overlap, count_overlaps
from tasks.data.problems import Problem
from tasks.data.rows import RowExamples, filled_rows
from tasks.data.tokenizer import plain_words

Words = tuple[str, ...]
#: Pairs (summary word, document word), counted from 0 over all sentences.
Links = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Document:
    """A document and its summary in plain words (`tasks.data.tokenizer`).

    Attributes:
        id: unique in its split.
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

    def content(self) -> Iterator[str]:
        yield repr(self.sentences)
        yield repr(self.summary)
        yield repr(self.links)


@dataclass(frozen=True)
class Segments:
    """The sentence of every word, for each document of a split, every time it is iterated over."""

    documents: Sequence[Document]

    def __iter__(self) -> Iterator[tuple[int, ...]]:
        return (document.segments for document in self.documents)


class SummaryCorpus(Corpus[Document]):
    """Documents by split."""

    def overlaps(self) -> Iterator[Overlap]:
        return count_overlaps(self.splits, lambda one: (one.source_text, one.summary_text))

    def problems(self) -> Iterator[Problem]:
        """Texts that stay on disk are read and cut into words."""
        for _ in self.examples():
            pass
        yield from ()


# Sentences of running text, by rules that suit English news and other scripts' own full stops.

# Abbreviations after which a full stop ends no sentence. Months and titles as agencies write them.
_ABBREVIATIONS = frozenset(
    [
        *("mr", "mrs", "ms", "dr", "st", "gen", "col", "lt", "sgt", "sen", "rep", "gov", "prof"),
        *("rev", "jr", "sr", "vs", "no", "inc", "corp", "co", "ltd", "plc", "cie", "bros", "jan"),
        *("feb", "mar", "apr", "jun", "jul", "aug", "sep", "sept", "oct", "nov", "dec", "ave"),
        *("etc", "approx", "dept", "est", "fig"),
    ]
)
# A stop, quotation marks or brackets that close with it, white space, and a new beginning: a
# capital, a letter without case, a figure. Full stops of other scripts (。 । ؟) end a sentence
# whatever follows.
_BORDER = regex.compile(
    r"""([.!?]+["'”’)\]]*)\s+(?=["'“‘(\[]?[\p{Lu}\p{Lt}\p{Lo}\p{Nd}<])
      | ((?:(?![.!?])\p{Sentence_Terminal})+["'”’)\]\p{Pe}\p{Pf}]*)\s*""",
    regex.VERBOSE,
)
_LAST_WORD = re.compile(r"([\w.]+)\.\Z")


def split_sentences(text: str) -> list[str]:
    """The sentences of a text. Text in small letters without figures is left whole."""
    sentences = []
    begin = 0
    for border in _BORDER.finditer(text):
        sentence = text[begin : border.end()].rstrip()
        if border.group(1) == "." and _abbreviated(sentence):
            continue
        sentences.append(sentence)
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


# From texts to documents: what the readers of real data sets share.

#: Share of the training documents that becomes validation data where none is given.
HELD_OUT = 0.1


@dataclass(frozen=True)
class Preprocessing:
    """Conversion of texts to words.

    Attributes:
        source_words, summary_words: number of words kept from the start; 0 keeps all.
        lower: lower-case both sides. ROUGE ignores case.
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

    def build(self, name: str, row: int, texts: TextRow) -> Document:
        """The document of a row (source, summary), for `RowExamples`."""
        source, summary = texts
        return self.document(name, source, summary)

    def sentences(self, text: str) -> tuple[Words, ...]:
        """Words by sentence; lines are never joined to one sentence."""
        lines = (line for line in text.split("\n") if line.strip())
        sentences = [self._words(part) for line in lines for part in split_sentences(line)]
        return tuple(_first(filter(None, sentences), self.source_words))

    def _words(self, text: str) -> Words:
        for old, new in self.replacements:
            text = text.replace(old, new)
        return plain_words(text, lower=self.lower)

    @property
    def notes(self) -> tuple[str, ...]:
        """Note on the casing for reports."""
        return ("both sides are lower-cased",) if self.lower else ()


def _first(sentences: Iterable[Words], most: int) -> Iterator[Words]:
    """Sentences up to `most` words in all, the last one cut; 0 is all."""
    room = most or sys.maxsize
    for sentence in sentences:
        if room <= 0:
            return
        yield sentence[:room]
        room -= len(sentence)


def read_documents(
    split: str, texts: Sequence[TextRow], preprocessing: Preprocessing, where: str
) -> tuple[RowExamples[Document], tuple[str, ...]]:
    """The documents of rows (source, summary) that have both texts, and a note on those left out.

    Args:
        where: the file, to name the first document left out by its number.

    Raises UsageError: no row has both texts.
    """
    filled = filled_rows(texts)
    rows, missing = np.flatnonzero(filled), np.flatnonzero(~filled)
    if len(rows) == 0:
        raise UsageError("no document has both source and summary", where=where)
    documents = RowExamples(split, texts, rows, preprocessing.build)
    if not len(missing):
        return documents, ()
    first = f"{where}, number {missing[0] + 1}"
    note = f"{len(missing)} documents without source or summary left out (first: {first})"
    return documents, (note,)


def hold_out(
    documents: RowExamples[Document], where: str
) -> tuple[RowExamples[Document], RowExamples[Document]]:
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
    rows = documents.rows
    return documents.select(rows[:border]), documents.select(rows[border:])


class HubOptions(CardOptions):
    """Lengths that texts are cut to (See et al. 2017: 400 and 100 words), and casing."""

    source_words: int = Field(400, ge=0, description="number of source words kept; 0: all")
    summary_words: int = Field(100, ge=0, description="number of summary words kept; 0: all")
    lower: bool = Field(True, description="lower-case both sides")


class HubDocuments(Dataset[SummaryCorpus]):
    """Base of the data sets of the hub. The training texts stay on disk."""

    card: ClassVar[Card]
    replacements: ClassVar[tuple[tuple[str, str], ...]] = ()
    Options = HubOptions

    @classmethod
    def load(cls, options: HubOptions, data_root: Path | None) -> SummaryCorpus:
        """Read the downloaded files. Raises UsageError: missing or unreadable."""
        preprocessing = Preprocessing(
            options.source_words, options.summary_words, options.lower, cls.replacements
        )
        card = cls.card.at(options.revision)
        splits: dict[str, Sequence[Document]] = {}
        notes: list[str] = []
        for split in ("train", "validation", "test"):
            rows = read_split(card, data_root, split)
            where = f"{card.identifier}, {split}"
            splits[split], left_out = read_documents(split, rows, preprocessing, where)
            notes += left_out
        return SummaryCorpus(
            train=splits["train"],
            # Gone through again and again, and small.
            validation=tuple(splits["validation"]),
            tests={"test": tuple(splits["test"])},
            notes=(provenance_note(card, data_root), *preprocessing.notes, *notes),
        )

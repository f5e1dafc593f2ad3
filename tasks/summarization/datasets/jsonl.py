"""A user's own documents: JSON lines with a source and a summary each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, overload

import numpy as np
from pydantic import Field

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions, datasets
from tasks.data.lines import TextLines
from tasks.data.readers import Gathered, Row, parse_object, read_json_lines
from tasks.summarization.documents import (
    Empties,
    Reading,
    SummaryCorpus,
    TextDocuments,
    TextPair,
    hold_out,
    with_text,
)
from tasks.summarization.settings import news_settings

if TYPE_CHECKING:
    from bench.attention.base import Placement


class JsonlOptions(DatasetOptions):
    """Files and fields. File names are relative to the data root."""

    train_file: str = Field("train.jsonl", description="one JSON object a line")
    validation_file: str = Field(
        "", description="likewise; empty: the last tenth of the training documents is held out"
    )
    test_file: str = Field("test.jsonl", description="likewise")
    source_field: str = Field("document", description="field of the text to be summarised")
    summary_field: str = Field("summary", description="field of its summary")
    source_words: int = Field(400, ge=0, description="cut sources after so many words; 0: never")
    lower: bool = Field(True, description="lower-case both sides")


@dataclass(frozen=True, eq=False)
class JsonTexts(Sequence[TextPair]):
    """The text pairs of a file of JSON lines, read as they are asked for; blank lines are no rows.

    Attributes:
        rows: line (from 0) of every pair.
    """

    lines: TextLines
    rows: np.ndarray
    source: str
    summary: str

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> TextPair: ...
    @overload
    def __getitem__(self, index: slice) -> list[TextPair]: ...
    def __getitem__(self, index: int | slice) -> TextPair | list[TextPair]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        line = int(self.rows[index])
        values = parse_object(self.lines[line], self.lines.path, line + 1)
        return self._pair(Row(self.lines.path, line + 1, values))

    def __iter__(self) -> Iterator[TextPair]:
        return map(self._pair, read_json_lines(self.lines.path))

    def _pair(self, row: Row) -> TextPair:
        return row.text(self.source), row.text(self.summary)


@datasets("summarization").register("jsonl")
class Jsonl(Dataset):
    """Any files of JSON lines."""

    name: ClassVar[str] = "jsonl"
    summary: ClassVar[str] = "your own documents: JSON lines with a source and a summary"
    licence: ClassVar[str] = "the files' own"
    places: ClassVar[tuple[str, ...]] = ("train.jsonl",)
    Options: ClassVar[type[DatasetOptions]] = JsonlOptions

    @classmethod
    def settings(cls, budget: str, placement: Placement) -> Mapping[str, Any]:
        return news_settings(budget, placement)

    @classmethod
    def load(cls, options: DatasetOptions, data_root: Path | None) -> SummaryCorpus:
        """Read the files named by the options; the texts stay on disk.

        Raises UsageError naming file and line. Documents without text are left out and counted.
        """
        assert isinstance(options, JsonlOptions)
        paths = dict(_paths(options, data_root))
        read = {part: _read(part, path, options) for part, path in paths.items()}
        documents = {part: found for part, (found, _) in read.items()}
        if not options.validation_file:
            documents["train"], documents["validation"] = hold_out(
                documents["train"], str(paths["train"])
            )
        casing = ("both sides are lower-cased",) if options.lower else ()
        return SummaryCorpus(
            name=cls.name,
            train=documents["train"],
            validation=documents["validation"],
            tests={"test": documents["test"]},
            notes=(*casing, *(note for _, empties in read.values() for note in empties.notes)),
        )

    @classmethod
    def problems(cls, options: DatasetOptions, data_root: Path | None) -> Gathered:
        """All lines that cannot be used. Raises UsageError where a whole file cannot be."""
        assert isinstance(options, JsonlOptions)
        problems = Gathered()
        for _, path in _paths(options, data_root):
            for row in read_json_lines(path, problems):
                try:
                    row.text(options.source_field), row.text(options.summary_field)
                except UsageError as error:
                    problems(error)
        return problems


def _paths(options: JsonlOptions, data_root: Path | None) -> Iterator[tuple[str, Path]]:
    """The files by part."""
    if data_root is None:
        raise UsageError(
            "the data set 'jsonl' needs its files",
            where="--data-root",
            remedy=f"name the folder that holds {options.train_file}",
        )
    yield "train", data_root / options.train_file
    yield "test", data_root / options.test_file
    if options.validation_file:
        yield "validation", data_root / options.validation_file


def _read(part: str, path: Path, options: JsonlOptions) -> tuple[TextDocuments, Empties]:
    lines = TextLines(path)
    rows = np.fromiter((row.line - 1 for row in read_json_lines(path)), dtype=np.int64)
    texts = JsonTexts(lines, rows, options.source_field, options.summary_field)
    reading = Reading(source_words=options.source_words, lower=options.lower)
    return with_text(part, texts, reading, str(path))

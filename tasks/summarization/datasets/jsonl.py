"""A user's own documents: JSON lines with a source and a summary each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from pydantic import Field

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions, datasets
from tasks.data.readers import Gathered, read_json_lines, required_root
from tasks.data.rows import JsonRows, RowExamples
from tasks.summarization.datasets import (
    Document,
    Preprocessing,
    SummaryCorpus,
    hold_out,
    read_documents,
)


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


@datasets("summarization").register("jsonl")
class Jsonl(Dataset):
    """Any files of JSON lines."""

    name: ClassVar[str] = "jsonl"
    summary: ClassVar[str] = "your own documents: JSON lines with a source and a summary"
    licence: ClassVar[str] = "the files' own"
    places: ClassVar[tuple[str, ...]] = ("train.jsonl",)
    Options: ClassVar[type[DatasetOptions]] = JsonlOptions

    @classmethod
    def load(cls, options: DatasetOptions, data_root: Path | None) -> SummaryCorpus:
        """Read the files named by the options; the texts stay on disk.

        Raises UsageError naming file and line. Documents without text are left out and counted.
        """
        assert isinstance(options, JsonlOptions)
        preprocessing = Preprocessing(source_words=options.source_words, lower=options.lower)
        columns = (options.source_field, options.summary_field)
        splits: dict[str, RowExamples[Document]] = {}
        notes: list[str] = []
        for split, path in _paths(options, data_root):
            texts = JsonRows(path, columns)
            splits[split], left_out = read_documents(split, texts, preprocessing, str(path))
            notes += left_out
            if split == "train" and not options.validation_file:
                splits["train"], splits["validation"] = hold_out(splits["train"], str(path))
        return SummaryCorpus(
            name=cls.name,
            train=splits["train"],
            validation=splits["validation"],
            tests={"test": splits["test"]},
            notes=(*preprocessing.notes, *notes),
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
    """The files by split."""
    root = required_root(data_root, Jsonl.name, options.train_file)
    yield "train", root / options.train_file
    yield "test", root / options.test_file
    if options.validation_file:
        yield "validation", root / options.validation_file

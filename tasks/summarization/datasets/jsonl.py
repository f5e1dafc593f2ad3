"""A user's own documents: JSON lines with a source and a summary each."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field

from tasks.base import DatasetOptions, ScannedDataset, datasets
from tasks.data.files import required_root
from tasks.data.problems import Problem, Scan, collect
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
        "", description="as train_file; empty: the last tenth of the training documents is held out"
    )
    test_file: str = Field("test.jsonl", description="as train_file")
    source_field: str = Field("document", description="field of the text to be summarised")
    summary_field: str = Field("summary", description="field of its summary")
    source_words: int = Field(400, ge=0, description="number of source words kept; 0: all")
    lower: bool = Field(True, description="lower-case both sides")


@datasets("summarization").register("jsonl")
class Jsonl(ScannedDataset[SummaryCorpus]):
    """Documents in JSON lines with any field names."""

    name = "jsonl"
    summary = "your own documents: JSON lines with a source and a summary"
    licence = "the files' own"
    places = ("train.jsonl",)
    Options = JsonlOptions

    @classmethod
    def scan(cls, options: JsonlOptions, data_root: Path | None) -> Scan[SummaryCorpus]:
        """Read the files named by the options; the texts stay on disk. Documents without text are
        left out and counted."""
        preprocessing = Preprocessing(source_words=options.source_words, lower=options.lower)
        columns = (options.source_field, options.summary_field)
        problems: list[Problem] = []
        root = required_root(data_root, cls.name, options.train_file)
        files = {"train": options.train_file, "test": options.test_file}
        if options.validation_file:
            files["validation"] = options.validation_file
        texts = {
            split: JsonRows(root / file, columns, collect(problems))
            for split, file in files.items()
        }
        if problems:
            return Scan(None, tuple(problems))
        splits: dict[str, RowExamples[Document]] = {}
        notes: list[str] = []
        for split, rows in texts.items():
            where = str(rows.path)
            splits[split], left_out = read_documents(split, rows, preprocessing, where)
            notes += left_out
            if split == "train" and not options.validation_file:
                splits["train"], splits["validation"] = hold_out(splits["train"], where)
        corpus = SummaryCorpus(
            train=splits["train"],
            validation=splits["validation"],
            tests={"test": splits["test"]},
            notes=(*preprocessing.notes, *notes),
        )
        return Scan(corpus)

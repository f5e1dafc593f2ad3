"""A user's own pairs: any TSV or JSON-lines files with named columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.data.files import required_root
from tasks.data.problems import OnError
from tasks.data.readers import read_rows
from tasks.data.unicode import lowered
from tasks.entailment.datasets import (
    LABELS,
    Columns,
    EntailmentCorpus,
    Label,
    PairReader,
    Pairs,
    PairsDataset,
    hold_out,
)


class TabularOptions(DatasetOptions):
    """Files and columns. File names are relative to the data root."""

    train_file: str = Field("train.tsv", description="TSV or CSV with a header, or .jsonl")
    validation_file: str = Field(
        "", description="as train_file; empty: a tenth of the training pairs is held out"
    )
    test_file: str = Field("test.tsv", description="as train_file")
    premise: str = Field("premise", description="name of the premise's column")
    hypothesis: str = Field("hypothesis", description="name of the hypothesis's column")
    label: str = Field("label", description="name of the label's column")
    labels: str = Field(
        ",".join(LABELS),
        description="the values of the label column that stand for entailment, neutral and"
        " contradiction, in this order, separated by commas",
    )


@datasets("entailment").register("tabular")
class Tabular(PairsDataset):
    """Pairs in TSV or JSON-lines files with any column names."""

    name = "tabular"
    summary = "your own pairs: TSV or JSON lines with named columns"
    licence = "the files' own"
    places = ("train.tsv",)
    Options = TabularOptions

    @classmethod
    def read(cls, options: Any, data_root: Path | None, on_error: OnError) -> EntailmentCorpus:
        """Read the files named by the options. Raises UsageError naming file and line."""
        root = required_root(data_root, cls.name, options.train_file)
        columns = Columns(
            options.premise, options.hypothesis, options.label, _values(options.labels)
        )
        reader = PairReader(columns, on_error)

        def read(name: str, prefix: str) -> Pairs:
            remedy = "set premise, hypothesis and label for other names"
            rows = read_rows(root / name, on_error, columns=columns.names, remedy=remedy)
            return reader.read(rows, prefix)

        train, test = read(options.train_file, "train"), read(options.test_file, "test")
        notes: tuple[str, ...] = ()
        if options.validation_file:
            held = read(options.validation_file, "validation")
        else:
            train, held = hold_out(train, str(root / options.train_file))
            notes = (f"{len(held)} training pairs serve as validation data",)
        return EntailmentCorpus(
            train=train, validation=held, tests={"test": test}, notes=(*reader.notes, *notes)
        )


def _values(option: str) -> Mapping[str, Label]:
    values = [lowered(value.strip()) for value in option.split(",")]
    if len(values) != len(LABELS) or len(set(values)) != len(LABELS) or not all(values):
        raise UsageError(
            f"labels='{option}' does not name three different values",
            where="--set",
            remedy=f"give those for {', '.join(LABELS)}, separated by commas",
        )
    return dict(zip(values, LABELS, strict=True))

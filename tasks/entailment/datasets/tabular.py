"""A user's own pairs: any TSV or JSON-lines files with named columns."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.data.readers import OnError, read_rows, required_root
from tasks.entailment.datasets import (
    LABELS,
    LOWER_CASED,
    Columns,
    EntailmentCorpus,
    Label,
    PairsDataset,
    Read,
    dropped_note,
    hold_out,
    read_pairs,
)


class TabularOptions(DatasetOptions):
    """Files and columns. File names are relative to the data root."""

    train_file: str = Field("train.tsv", description="TSV with a header, or .jsonl")
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

        def part(name: str, prefix: str) -> Read:
            return read_pairs(read_rows(root / name, on_error), columns, prefix, on_error)

        train, test = part(options.train_file, "train"), part(options.test_file, "test")
        parts = [train, test]
        notes: tuple[str, ...] = ()
        if options.validation_file:
            parts.append(part(options.validation_file, "validation"))
            kept, held = train.pairs, parts[-1].pairs
        else:
            kept, held = hold_out(train.pairs, str(root / options.train_file))
            notes = (f"{len(held)} training pairs serve as validation data",)
        dropped = dropped_note(sum(read.unlabelled for read in parts))
        return EntailmentCorpus(
            train=kept,
            validation=held,
            tests={"test": test.pairs},
            notes=(LOWER_CASED, *dropped, *notes),
        )


def _values(option: str) -> Mapping[str, Label]:
    values = [value.strip().lower() for value in option.split(",")]
    if len(values) != len(LABELS) or len(set(values)) != len(LABELS) or not all(values):
        raise UsageError(
            f"labels='{option}' does not name three different values",
            where="--set",
            remedy=f"give those for {', '.join(LABELS)}, separated by commas",
        )
    return dict(zip(values, LABELS, strict=True))

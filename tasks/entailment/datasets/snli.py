"""SNLI as its publishers distribute it: JSON lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from tasks.base import DatasetOptions, datasets
from tasks.data.archives import Distribution, Piece
from tasks.data.files import data_folder
from tasks.data.problems import OnError
from tasks.data.readers import read_json_lines
from tasks.entailment.datasets import (
    Columns,
    EntailmentCorpus,
    PairReader,
    Pairs,
    PairsDataset,
    hold_out,
)
from tasks.entailment.datasets.rte2 import aligned_sets

SNLI = Distribution(
    name="snli",
    source="the publisher's archive, version 1.0",
    pieces=(
        Piece(
            "https://nlp.stanford.edu/projects/snli/snli_1.0.zip",
            {
                f"snli_1.0/snli_1.0_{part}.jsonl": f"snli_1.0/snli_1.0_{part}.jsonl"
                for part in ("train", "dev", "test")
            },
            "zip",
            94_550_081,
            sha256="afb3d70a5af5d8de0d9d81e2637e0fb8c22d1235c2749d83125ca43dab0dbd3e",
        ),
    ),
)

_COLUMNS = Columns("sentence1", "sentence2", "gold_label")
FULL = ("snli_1.0", "snli")
#: The mini edition has no test file; its dev set is the test set.
MINI = ("snli_mini",)


class SnliOptions(DatasetOptions):
    """Choice of the edition."""

    edition: Literal["auto", "full", "mini"] = Field(
        "auto",
        description="full: train, dev and test files; mini: train and dev, where dev is the test"
        " set; auto: full where it is there",
    )


@datasets("entailment").register("snli")
class Snli(PairsDataset):
    """Stanford Natural Language Inference: 549,367 / 9,842 / 9,824 pairs with a gold label."""

    name = "snli"
    summary = "SNLI: hypotheses written to picture captions (full or mini edition)"
    licence = "CC BY-SA 4.0"
    redistributable = True
    card: ClassVar[Distribution | None] = SNLI
    places: ClassVar[tuple[str, ...]] = (*FULL, *MINI)
    citation = (
        "Bowman et al. 2015: A large annotated corpus for learning natural language inference."
        " EMNLP."
    )
    Options: ClassVar[type[DatasetOptions]] = SnliOptions

    @classmethod
    def read(cls, options: Any, data_root: Path | None, on_error: OnError) -> EntailmentCorpus:
        """Read `snli_1.0_{train,dev,test}.jsonl` from `snli_1.0/` or `snli/`, or the mini edition
        from `snli_mini/`; RTE-2's alignments too where they are in the data root."""
        folder = data_folder(data_root, cls.name, cls.folders(options))
        mini = not (folder / "snli_1.0_test.jsonl").exists() and folder.name in MINI
        files = {split: folder / f"snli_1.0_{split}.jsonl" for split in ("train", "dev", "test")}
        reader = PairReader(_COLUMNS, on_error)

        def read(split: str) -> Pairs:
            rows = read_json_lines(files[split], on_error, columns=_COLUMNS.names)
            return reader.read(rows, split)

        train, validation = read("train"), read("dev")
        aligned, notes = aligned_sets(data_root)
        if mini:
            test = validation
            train, validation = hold_out(train, str(files["train"]))
            notes = (
                "mini edition: its dev set is the test set,"
                f" {len(validation)} training pairs serve as validation data",
                *notes,
            )
        else:
            test = read("test")
        return EntailmentCorpus(
            train=train,
            validation=validation,
            tests={"test": test},
            aligned=aligned,
            notes=(*reader.notes, *notes),
        )

    @classmethod
    def folders(cls, options: Any) -> tuple[str, ...]:
        """Folders of the data root that may hold the files; the first that exists is read."""
        return {"full": FULL, "mini": MINI, "auto": (*FULL, *MINI)}[options.edition]

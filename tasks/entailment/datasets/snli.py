"""SNLI as its publishers distribute it (JSON lines), and the small edition made of its dev set."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from tasks.base import DatasetOptions, datasets
from tasks.data.archives import Distribution, Piece
from tasks.data.readers import OnError, data_folder, read_json_lines
from tasks.entailment.datasets.rte2 import aligned_sets
from tasks.entailment.pairs import (
    LOWER_CASED,
    Columns,
    EntailmentCorpus,
    PairsDataset,
    Read,
    dropped_note,
    hold_out,
    read_pairs,
)

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
_FULL = ("snli_1.0", "snli")
_MINI = ("snli_mini",)

Edition = Literal["auto", "full", "mini"]


class SnliOptions(DatasetOptions):
    """Which edition to read."""

    edition: Edition = Field(
        "auto",
        description="full: train, dev and test files; mini: train and dev, where dev is the test"
        " set; auto: full where it is there",
    )


@datasets("entailment").register("snli")
class Snli(PairsDataset):
    """Stanford Natural Language Inference: 549,367 / 9,842 / 9,824 pairs with a gold label."""

    name: ClassVar[str] = "snli"
    summary: ClassVar[str] = "SNLI: hypotheses written to picture captions (full or mini edition)"
    licence: ClassVar[str] = "CC BY-SA 4.0"
    card: ClassVar[Distribution | None] = SNLI
    places: ClassVar[tuple[str, ...]] = (*_FULL, *_MINI)
    citation: ClassVar[str] = (
        "Bowman et al. 2015: A large annotated corpus for learning natural language inference."
        " EMNLP."
    )
    Options: ClassVar[type[DatasetOptions]] = SnliOptions

    @classmethod
    def read(
        cls, options: DatasetOptions, data_root: Path | None, on_error: OnError
    ) -> EntailmentCorpus:
        """Read `snli_1.0_{train,dev,test}.jsonl` from `snli_1.0/` or `snli/`, or the mini edition
        from `snli_mini/`; RTE-2's alignments too where they are in the data root."""
        folder = data_folder(data_root, cls.name, cls.folders(options))
        return _read(cls.name, folder, data_root, on_error)

    @classmethod
    def folders(cls, options: DatasetOptions) -> tuple[str, ...]:
        """Where the files may lie in the data root; the first that is there is read."""
        assert isinstance(options, SnliOptions)
        return {"full": _FULL, "mini": _MINI, "auto": (*_FULL, *_MINI)}[options.edition]


@datasets("entailment").register("snli_mini")
class SnliMini(Snli):
    """SNLI's dev set cut into 8,848 training and 994 test pairs, no premise in both."""

    name: ClassVar[str] = "snli_mini"
    summary: ClassVar[str] = "SNLI's dev set alone, cut into training and test pairs"
    card: ClassVar[Distribution | None] = None  # made of SNLI's dev set, distributed by nobody
    places: ClassVar[tuple[str, ...]] = _MINI
    Options: ClassVar[type[DatasetOptions]] = DatasetOptions

    @classmethod
    def folders(cls, options: DatasetOptions) -> tuple[str, ...]:
        return _MINI


def _read(name: str, folder: Path, data_root: Path | None, on_error: OnError) -> EntailmentCorpus:
    # The mini edition has no test file; its dev set is the test set.
    mini = not (folder / "snli_1.0_test.jsonl").exists() and folder.name in _MINI
    files = {part: folder / f"snli_1.0_{part}.jsonl" for part in ("train", "dev", "test")}
    parts = ("train", "dev") if mini else ("train", "dev", "test")
    read: dict[str, Read] = {
        part: read_pairs(read_json_lines(files[part], on_error), _COLUMNS, part, on_error)
        for part in parts
    }
    aligned, notes = aligned_sets(data_root)
    dropped = dropped_note(sum(part.unlabelled for part in read.values()))
    if mini:
        train, validation = hold_out(read["train"].pairs, str(files["train"]))
        test = read["dev"].pairs
        notes = (
            "mini edition: its dev set is the test set,"
            f" {len(validation)} training pairs serve as validation data",
            *notes,
        )
    else:
        train, validation, test = (read[part].pairs for part in parts)
    return EntailmentCorpus(
        name, train, validation, {"test": test}, aligned, (LOWER_CASED, *dropped, *notes)
    )

"""MultiNLI from the hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tasks.base import datasets
from tasks.data.hub import Card, CardOptions, paths, provenance_note, read_split
from tasks.data.problems import OnError
from tasks.data.readers import Row
from tasks.entailment.datasets import (
    LABELS,
    NO_GOLD,
    Columns,
    EntailmentCorpus,
    PairReader,
    PairsDataset,
    hold_out,
)

MULTI_NLI = Card(
    name="multi_nli",
    identifier="nyu-mll/multi_nli",
    revision="da70db2af9d09693783c3320c4249840212ee221",
    format="parquet",
    files={
        "train": ("data/train-00000-of-00001.parquet",),
        "matched": ("data/validation_matched-00000-of-00001.parquet",),
        "mismatched": ("data/validation_mismatched-00000-of-00001.parquet",),
    },
    columns={"premise": "premise", "hypothesis": "hypothesis", "label": "label"},
    sha256={
        "data/train-00000-of-00001.parquet": (
            "1c1de03640b168e410aabfca19e7cc2f3dfcd7f0e126e935674e56fb102c4529"
        ),
        "data/validation_matched-00000-of-00001.parquet": (
            "350c26950b55f460b50d36c76aef87d64b49c78812d7abf7bf97e5fede10f186"
        ),
    },
    # The two whose sizes are known; the third is as large as the second.
    size=213_961_663 + 2 * 4_938_568,
)

# The hub numbers the labels in our order, and marks what has none by -1.
_VALUES = {str(number): label for number, label in enumerate(LABELS)}
_COLUMNS = Columns("premise", "hypothesis", "label", _VALUES)


@datasets("entailment").register("multi_nli")
class MultiNli(PairsDataset):
    """Multi-Genre Natural Language Inference: 392,702 training pairs. The labels of its test sets
    are not published: its two development sets are the test sets, genres seen in training first."""

    name = "multi_nli"
    summary = "MultiNLI: ten genres of spoken and written text (from the hub)"
    licence = "OANC, CC BY 3.0, CC BY-SA 3.0 and others, by genre"
    citation = (
        "Williams, Nangia, Bowman 2018: A broad-coverage challenge corpus for sentence"
        " understanding through inference. NAACL."
    )
    card = MULTI_NLI
    Options = CardOptions

    @classmethod
    def read(cls, options: Any, data_root: Path | None, on_error: OnError) -> EntailmentCorpus:
        """Read the downloaded files. Raises UsageError: missing or unreadable."""
        card, reader = MULTI_NLI.at(options.revision), PairReader(_COLUMNS, on_error)
        read = {split: reader.read(_rows(card, data_root, split), split) for split in card.files}
        train, validation = hold_out(read.pop("train"), card.identifier)
        notes = (
            provenance_note(card, data_root),
            f"{len(validation)} training pairs serve as validation data",
            *reader.notes,
        )
        return EntailmentCorpus(train=train, validation=validation, tests=read, notes=notes)


def _rows(card: Card, data_root: Path | None, split: str) -> Iterator[Row]:
    path = paths(card, data_root, split)[0]
    for number, values in enumerate(read_split(card, data_root, split), start=1):
        row = dict(zip(card.columns, values, strict=True))
        yield Row(path, number, row | ({"label": NO_GOLD} if row["label"] == "-1" else {}))

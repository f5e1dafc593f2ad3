"""SICK as its publishers distribute it: one TSV file with all three parts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.errors import UsageError
from tasks.base import datasets
from tasks.data.archives import Distribution, Piece
from tasks.data.files import data_folder
from tasks.data.problems import OnError
from tasks.data.readers import Row, read_table
from tasks.entailment.datasets import Columns, EntailmentCorpus, PairReader, PairsDataset
from tasks.entailment.datasets.rte2 import aligned_sets

SICK = Distribution(
    name="sick",
    source="Zenodo, record 2787612",
    pieces=(
        Piece(
            "https://zenodo.org/record/2787612/files/SICK.zip?download=1",
            {"SICK.txt": "sick/SICK.txt"},
            "zip",
            217_584,
            sha256="da272af924399fc2de4889ed55383e38822c10d16c4a949a89d597d09a0b7912",
        ),
    ),
)

_COLUMNS = Columns("sentence_A", "sentence_B", "entailment_label")
_PART = "SemEval_set"
_PARTS = ("TRAIN", "TRIAL", "TEST")


@datasets("entailment").register("sick")
class Sick(PairsDataset):
    """Sentences Involving Compositional Knowledge: 4,439 / 495 / 4,906 pairs."""

    name = "sick"
    summary = "SICK: sentences from picture and video captions, edited by rules"
    licence = "CC BY-NC-SA 3.0"
    card = SICK
    places = ("sick/SICK.txt", "SICK/SICK.txt")
    citation = (
        "Marelli et al. 2014: A SICK cure for the evaluation of compositional distributional"
        " semantic models. LREC."
    )

    @classmethod
    def read(cls, options: Any, data_root: Path | None, on_error: OnError) -> EntailmentCorpus:
        """Read `sick/SICK.txt`; RTE-2's alignments too where they are in the data root."""
        path = data_folder(data_root, cls.name, ["sick", "SICK"]) / "SICK.txt"
        rows: dict[str, list[Row]] = {part: [] for part in _PARTS}
        for row in read_table(path, on_error, columns=(*_COLUMNS.names, _PART)):
            try:
                part = row.text(_PART)
                if part not in _PARTS:
                    remedy = f"known: {', '.join(_PARTS)}"
                    raise UsageError(f"unknown {_PART} '{part}'", where=row.where, remedy=remedy)
                rows[part].append(row)
            except UsageError as error:
                on_error(error)
        for part, found in rows.items():
            if not found:
                raise UsageError(f"no line has {_PART} {part}", where=str(path))
        reader = PairReader(_COLUMNS, on_error)
        train, validation, test = (reader.read(found, cls.name) for found in rows.values())
        aligned, notes = aligned_sets(data_root)
        return EntailmentCorpus(
            train=train,
            validation=validation,
            tests={"test": test},
            aligned=aligned,
            notes=(*reader.notes, *notes),
        )

"""MultiNLI from the hub."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

from tasks.base import DatasetOptions, datasets
from tasks.data.hub import Card, CardOptions, paths, provenance_note
from tasks.data.readers import OnError, Row
from tasks.entailment.cards import MULTI_NLI
from tasks.entailment.pairs import (
    LABELS,
    LOWER_CASED,
    NO_GOLD,
    Columns,
    EntailmentCorpus,
    PairsDataset,
    dropped_note,
    hold_out,
    read_pairs,
)

# The hub numbers the labels in our order, and marks what has none by -1.
_VALUES = {str(number): label for number, label in enumerate(LABELS)}
_COLUMNS = Columns("premise", "hypothesis", "label", _VALUES)


@datasets("entailment").register(MULTI_NLI.name)
class MultiNli(PairsDataset):
    """Multi-Genre Natural Language Inference: 392,702 training pairs. The labels of its test sets
    are not published: its two development sets are the test sets, genres seen in training first."""

    name: ClassVar[str] = MULTI_NLI.name
    summary: ClassVar[str] = "MultiNLI: ten genres of spoken and written text (from the hub)"
    licence: ClassVar[str] = MULTI_NLI.licence
    citation: ClassVar[str] = MULTI_NLI.citation
    card: ClassVar[Card | None] = MULTI_NLI
    Options: ClassVar[type[DatasetOptions]] = CardOptions

    @classmethod
    def read(
        cls, options: DatasetOptions, data_root: Path | None, on_error: OnError
    ) -> EntailmentCorpus:
        """Read what `attnbench data get` got. Raises UsageError: not there, unreadable."""
        assert isinstance(options, CardOptions)
        card = MULTI_NLI.at(options.revision)
        read = {
            split: read_pairs(_rows(card, data_root, split), _COLUMNS, split, on_error)
            for split in card.files
        }
        train, validation = hold_out(read["train"].pairs, card.identifier)
        assert data_root is not None
        notes = (
            provenance_note(card, data_root),
            f"{len(validation)} training pairs serve as validation data",
            LOWER_CASED,
            *dropped_note(sum(part.unlabelled for part in read.values())),
        )
        tests = {split: read[split].pairs for split in ("matched", "mismatched")}
        return EntailmentCorpus(cls.name, train, validation, tests, notes=notes)


def _rows(card: Card, data_root: Path | None, split: str) -> Iterator[Row]:
    from tasks.data.hub import read_split

    path = paths(card, data_root, split)[0]
    for number, (premise, hypothesis, label) in enumerate(
        read_split(card, data_root, split), start=1
    ):
        label = NO_GOLD if label == "-1" else label
        yield Row(path, number, dict(zip(card.columns, (premise, hypothesis, label), strict=True)))

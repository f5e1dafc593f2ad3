"""WMT 2014, German and English, from the hub."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal, overload

import numpy as np
from pydantic import Field

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions, datasets
from tasks.data.hub import Card, CardOptions, provenance_note
from tasks.translation.corpus import Corpus, Pair

WMT14 = Card(
    name="wmt14",
    identifier="wmt/wmt14",
    revision="b199e406369ec1b7634206d3ded5ba45de2fe696",
    format="parquet",
    files={
        "train": tuple(f"de-en/train-{n:05d}-of-00003.parquet" for n in range(3)),
        "validation": ("de-en/validation-00000-of-00001.parquet",),
        "test": ("de-en/test-00000-of-00001.parquet",),
    },
    columns={"de": "translation.de", "en": "translation.en"},
)


class Wmt14Options(CardOptions):
    pair: Literal["de-en", "en-de"] = Field("en-de", description="source and target language")


@dataclass(frozen=True, eq=False)
class RowPairs(Sequence[Pair]):
    """Pairs made of rows (German, English) as they are asked for.

    Attributes:
        name: of the split; pairs are called `<name>-<row>`, counted from 1.
        numbers: rows (from 0) that belong to the split, ascending.
        source, target: which of a row's texts is which.
    """

    name: str
    rows: Sequence[tuple[str, ...]]
    numbers: np.ndarray
    source: int
    target: int

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, index: int) -> Pair: ...
    @overload
    def __getitem__(self, index: slice) -> RowPairs: ...
    def __getitem__(self, index: int | slice) -> Pair | RowPairs:
        if isinstance(index, slice):
            return replace(self, numbers=self.numbers[index])
        number = int(self.numbers[index])
        return self._pair(number, self.rows[number])

    def __iter__(self) -> Iterator[Pair]:
        wanted = iter(self.numbers.tolist())
        number = next(wanted, None)
        for place, row in enumerate(self.rows):
            if number is None:
                return
            if place == number:
                yield self._pair(place, row)
                number = next(wanted, None)

    def _pair(self, number: int, row: tuple[str, ...]) -> Pair:
        return Pair(f"{self.name}-{number + 1}", row[self.source], row[self.target])


@datasets("translation").register("wmt14")
class Wmt14(Dataset):
    """4.5 million sentence pairs for training, newstest2013 and newstest2014; they stay on disk."""

    name: ClassVar[str] = "wmt14"
    summary: ClassVar[str] = "WMT 2014, English and German: 4.5 million training pairs"
    licence: ClassVar[str] = "not stated by its card (Europarl, Common Crawl, News Commentary)"
    citation: ClassVar[str] = (
        "Bojar et al. 2014: Findings of the 2014 workshop on statistical machine translation. WMT."
    )
    card: ClassVar[Card | None] = WMT14
    Options: ClassVar[type[DatasetOptions]] = Wmt14Options

    @classmethod
    def load(cls, options: DatasetOptions, data_root: Path | None) -> Corpus:
        """Read what `attnbench data get` got. Raises UsageError if it is not there, unreadable, or
        holds no text."""
        from tasks.data.hub import read_split

        assert isinstance(options, Wmt14Options)
        card = WMT14.at(options.revision)
        source, target = options.pair.split("-")
        languages = list(card.columns)
        splits, notes = {}, []
        for split in card.files:
            rows = read_split(card, data_root, split)
            filled = np.fromiter((all(map(str.strip, row)) for row in rows), dtype=bool)
            if not filled.any():
                raise UsageError("no row has both texts", where=f"{card.identifier}, {split}")
            if blank := int((~filled).sum()):
                notes.append(f"{split}: {blank} pairs with a blank side left out")
            splits[split] = RowPairs(
                split,
                rows,
                np.flatnonzero(filled),
                languages.index(source),
                languages.index(target),
            )
        assert data_root is not None
        return Corpus(
            name=cls.name,
            source_language=source,
            target_language=target,
            train=splits["train"],
            validation=splits["validation"],
            tests={"test": splits["test"]},
            notes=(provenance_note(card, data_root), *notes),
        )

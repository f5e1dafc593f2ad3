"""WMT 2014, German and English, from the hub."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from bench.errors import UsageError
from tasks.base import Dataset, datasets
from tasks.data.hub import Card, CardOptions, provenance_note, read_split
from tasks.data.rows import RowExamples, filled_rows
from tasks.translation.datasets import PairBuilder, TranslationCorpus

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


@datasets("translation").register("wmt14")
class Wmt14(Dataset[TranslationCorpus]):
    """4.5 million sentence pairs for training, newstest2013 and newstest2014; they stay on disk."""

    name = "wmt14"
    summary = "WMT 2014, English and German: 4.5 million training pairs"
    licence = "not stated by its card (Europarl, Common Crawl, News Commentary)"
    citation = (
        "Bojar et al. 2014: Findings of the 2014 workshop on statistical machine translation. WMT."
    )
    card = WMT14
    Options = Wmt14Options

    @classmethod
    def load(cls, options: Wmt14Options, data_root: Path | None) -> TranslationCorpus:
        """Read the downloaded files. Raises UsageError: missing, unreadable, or without text."""
        card = WMT14.at(options.revision)
        source, target = options.pair.split("-")
        languages = list(card.columns)
        build = PairBuilder(languages.index(source), languages.index(target))
        splits, notes = {}, []
        for split in card.files:
            rows = read_split(card, data_root, split)
            filled = filled_rows(rows)
            if not filled.any():
                raise UsageError("no row has both texts", where=f"{card.identifier}, {split}")
            if blank := int((~filled).sum()):
                notes.append(f"{split}: {blank} pairs with a blank side left out")
            splits[split] = RowExamples(split, rows, np.flatnonzero(filled), build)
        return TranslationCorpus(
            source_language=source,
            target_language=target,
            train=splits["train"],
            validation=splits["validation"],
            tests={"test": splits["test"]},
            notes=(provenance_note(card, data_root), *notes),
        )

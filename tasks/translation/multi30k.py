"""Multi30k, task 1: picture captions and their translations, in the published layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions
from tasks.distribution import Distribution
from tasks.registries import datasets
from tasks.translation.budgets import parallel_settings
from tasks.translation.cards import MULTI30K
from tasks.translation.corpus import Corpus
from tasks.translation.pairs import LinePairs, read_pairs
from tasks.translation.phrase_links import read_phrase_links

if TYPE_CHECKING:
    from bench.attention.base import Placement

TRAIN, VALIDATION, TEST = "train", "val", "test_2016_flickr"
LINKED = {"en", "fr"}


class Multi30kOptions(DatasetOptions):
    pair: Literal["de-en", "en-de", "fr-en", "en-fr", "de-fr", "fr-de"] = Field(
        "de-en", description="source and target language"
    )


@datasets("translation").register("multi30k")
class Multi30k(Dataset):
    """`<root>/multi30k/{train,val,test_2016_flickr}.{en,de,fr}`; `<root>` may be that folder
    itself. English-French pairs get phrase links from `en_fr_phrase_links` where it is there."""

    name: ClassVar[str] = "multi30k"
    summary: ClassVar[str] = "picture captions in German, French, English; 29,000 training pairs"
    licence: ClassVar[str] = "non-commercial research"
    citation: ClassVar[str] = (
        "Elliott, Frank, Sima'an, Specia (2016). Multi30K: Multilingual English-German Image "
        "Descriptions; French: Elliott et al. (2017); links: Plummer et al. (2015), Flickr30k "
        "Entities"
    )
    gold: ClassVar[bool] = True
    card: ClassVar[Distribution | None] = MULTI30K
    places: ClassVar[tuple[str, ...]] = ("multi30k", "test_2016_flickr.en")
    Options: ClassVar[type[DatasetOptions]] = Multi30kOptions

    @classmethod
    def settings(cls, budget: str, placement: Placement) -> Mapping[str, Any]:
        return parallel_settings(budget, placement)

    @classmethod
    def load(cls, options: DatasetOptions, data_root: Path | None) -> Corpus:
        """Read. Raises UsageError naming file and line where the data cannot be used."""
        assert isinstance(options, Multi30kOptions)
        splits = {
            split: read_pairs(source, target, split)
            for split, (source, target) in cls.files(options, data_root).items()
        }
        source, target = options.pair.split("-")
        notes: list[str] = []
        if {source, target} == LINKED:
            folder = _folder(data_root) / "en_fr_phrase_links"
            for split in (VALIDATION, TEST):
                splits[split], note = _linked(splits[split], folder, (source, target))
                notes.append(note)
        return Corpus(
            name=cls.name,
            source_language=source,
            target_language=target,
            train=splits[TRAIN],
            validation=splits[VALIDATION],
            tests={TEST: splits[TEST]},
            sure=False,
            notes=tuple(notes),
        )

    @classmethod
    def files(cls, options: DatasetOptions, data_root: Path | None) -> dict[str, tuple[Path, Path]]:
        """Source and target file of every split."""
        assert isinstance(options, Multi30kOptions)
        source, target = options.pair.split("-")
        folder = _folder(data_root)
        return {
            split: (folder / f"{split}.{source}", folder / f"{split}.{target}")
            for split in (TRAIN, VALIDATION, TEST)
        }


def _folder(data_root: Path | None) -> Path:
    if data_root is None:
        raise UsageError(
            "multi30k needs --data-root", remedy="give the folder that holds multi30k/"
        )
    if not data_root.is_dir():
        raise UsageError("no such folder", where=str(data_root), remedy="check --data-root")
    nested = data_root / "multi30k"
    return nested if nested.is_dir() else data_root


def _linked(pairs: LinePairs, folder: Path, languages: tuple[str, str]) -> tuple[LinePairs, str]:
    path = folder / f"{pairs.name}.json"
    if not path.is_file():
        return pairs, f"{pairs.name}: no phrase links ({path.name} is not there)"
    links = read_phrase_links(path, pairs.source, pairs.target, languages)
    dropped = links.listed - links.found
    note = f"{pairs.name}: {links.found} of {links.listed} phrase links found in the text"
    return replace(pairs, links=links.by_line), f"{note}, {dropped} dropped"

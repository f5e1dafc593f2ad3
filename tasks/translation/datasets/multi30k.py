"""Multi30k, task 1: picture captions and their translations, in the published layout."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate, product
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from bench.errors import UsageError
from tasks.base import DatasetOptions, datasets
from tasks.data.archives import Distribution, Piece
from tasks.data.files import required_root
from tasks.data.readers import read_json
from tasks.data.rows import RowExamples
from tasks.data.tokenizer import words
from tasks.translation.datasets import LinesDataset, Links, Pair, PairBuilder, TranslationCorpus

_COMMIT = "a3d2e0d26b56f3846f66a952536ffed4e401d05a"
_RAW = f"https://raw.githubusercontent.com/multi30k/dataset/{_COMMIT}/data/task1/raw"
TRAIN, VALIDATION, TEST = "train", "val", "test_2016_flickr"
# By file: bytes and SHA-256 of what that commit holds.
_FILES = {
    "train.de": (637044, "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6"),
    "train.en": (568929, "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f"),
    "train.fr": (604242, "622e75069e9f4c577425c4f277116ce66e63a2401c0a2312d90073cb12379a3c"),
    "val.de": (24681, "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a"),
    "val.en": (21650, "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28"),
    "val.fr": (23001, "ca3106f1a72390591d25f6c45cb4cd39dec4cd3f123e099748a3ce5256c160e9"),
    f"{TEST}.de": (22890, "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8"),
    f"{TEST}.en": (21077, "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9"),
    f"{TEST}.fr": (22310, "6d326e188d259fb1d04ac19eae3af956559b3a0b93d7635e56c90987c40c8b90"),
}

MULTI30K = Distribution(
    name="multi30k",
    source=f"github.com/multi30k/dataset at {_COMMIT[:12]}",
    pieces=tuple(
        Piece(f"{_RAW}/{name}.gz", {"": f"multi30k/{name}"}, "gz", size, sha256)
        for name, (size, sha256) in _FILES.items()
    ),
)


# Gold links between phrases: from phrases as listed to words of the lines themselves.
#
# The phrases come from annotations made on other tokenisations (lower case, apostrophes set apart),
# so each is looked up again in its line, letter by letter without white space and case.

_APOSTROPHES = str.maketrans({"’": "'", "`": "'"})


@dataclass(frozen=True)
class PhraseLinks:
    """Links of one file.

    Attributes:
        by_line: links between words, by line counted from 0; lines without any are left out.
        found, listed: phrase pairs that could be placed in their lines, and all.
    """

    by_line: dict[int, Links]
    found: int
    listed: int


def read_phrase_links(
    path: Path, source: Sequence[str], target: Sequence[str], languages: tuple[str, str]
) -> PhraseLinks:
    """Link all words of a source phrase with all words of its target phrase.

    Args:
        path: JSON list of {"line": n, "links": [[English phrase, French phrase], ...]}.
        source, target: the lines.
        languages: codes of source and target; "en" is the first phrase of a listed pair.

    Raises:
        UsageError: the file is not such a list, or its lines are not those of the text.
    """
    by_line: dict[int, Links] = {}
    found = listed = 0
    for line, pairs in _records(path, len(source)):
        if languages[0] != "en":
            pairs = [(second, first) for first, second in pairs]
        placed = _place(pairs, words(source[line]), words(target[line]))
        found, listed = found + len(placed), listed + len(pairs)
        links = sorted({link for spans in placed for link in product(spans[1], spans[0])})
        if links:
            by_line[line] = tuple(links)
    return PhraseLinks(by_line, found, listed)


def find_phrase(phrase: str, line: Sequence[str]) -> list[range]:
    """Every run of words of the line that spells the phrase."""
    wanted = _letters(phrase)
    if not wanted:
        return []
    spelled = [_letters(word) for word in line]
    starts = {at: place for place, at in enumerate(accumulate(map(len, spelled), initial=0))}
    # Runs may overlap: only their starts are consumed.
    found = re.finditer(f"(?={re.escape(wanted)})", "".join(spelled))
    spans = [(one.start(), one.start() + len(wanted)) for one in found]
    return [range(starts[a], starts[b]) for a, b in spans if a in starts and b in starts]


def _place(
    pairs: Sequence[tuple[str, str]], source: Sequence[str], target: Sequence[str]
) -> list[tuple[range, range]]:
    """The word spans of the pairs whose phrases both stand in the line exactly once."""
    found = ((find_phrase(first, source), find_phrase(second, target)) for first, second in pairs)
    return [(left[0], right[0]) for left, right in found if len(left) == len(right) == 1]


def _letters(text: str) -> str:
    return "".join(text.translate(_APOSTROPHES).lower().split())


def _records(path: Path, lines: int) -> list[tuple[int, list[tuple[str, str]]]]:
    data = read_json(path)
    try:
        records = [
            (record["line"], [(str(first), str(second)) for first, second in record["links"]])
            for record in data
        ]
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"not a list of lines with their links ({type(error).__name__}: {error})",
            where=str(path),
        ) from None
    for line, _ in records:
        if not isinstance(line, int) or not 0 <= line < lines:
            raise UsageError(f"there is no line {line} (of {lines})", where=str(path))
    return records


class Multi30kOptions(DatasetOptions):
    pair: Literal["de-en", "en-de", "fr-en", "en-fr", "de-fr", "fr-de"] = Field(
        "de-en", description="source and target language"
    )


@datasets("translation").register("multi30k")
class Multi30k(LinesDataset):
    """`<root>/multi30k/{train,val,test_2016_flickr}.{en,de,fr}`; `<root>` may be that folder
    itself. English-French pairs get phrase links from `en_fr_phrase_links` where it is there."""

    name = "multi30k"
    summary = "picture captions in German, French, English; 29,000 training pairs"
    licence = "non-commercial research"
    citation = (
        "Elliott, Frank, Sima'an, Specia (2016). Multi30K: Multilingual English-German Image "
        "Descriptions; French: Elliott et al. (2017); links: Plummer et al. (2015), Flickr30k "
        "Entities"
    )
    gold = True
    card = MULTI30K
    places = ("multi30k", "test_2016_flickr.en")
    Options = Multi30kOptions

    @classmethod
    def corpus(
        cls, options: Any, data_root: Path | None, splits: dict[str, RowExamples[Pair]]
    ) -> TranslationCorpus:
        source, target = options.pair.split("-")
        notes: list[str] = []
        if {source, target} == {"en", "fr"}:
            folder = _folder(data_root) / "en_fr_phrase_links"
            for split in (VALIDATION, TEST):
                splits[split], note = _linked(splits[split], folder, (source, target))
                notes.append(note)
        return TranslationCorpus(
            source_language=source,
            target_language=target,
            train=splits[TRAIN],
            validation=splits[VALIDATION],
            tests={TEST: splits[TEST]},
            sure=False,
            notes=tuple(notes),
        )

    @classmethod
    def files(cls, options: Any, data_root: Path | None) -> dict[str, tuple[Path, Path]]:
        source, target = options.pair.split("-")
        folder = _folder(data_root)
        return {
            split: (folder / f"{split}.{source}", folder / f"{split}.{target}")
            for split in (TRAIN, VALIDATION, TEST)
        }


def _folder(data_root: Path | None) -> Path:
    root = required_root(data_root, Multi30k.name, "multi30k/")
    nested = root / "multi30k"
    return nested if nested.is_dir() else root


def _linked(
    pairs: RowExamples[Pair], folder: Path, languages: tuple[str, str]
) -> tuple[RowExamples[Pair], str]:
    path = folder / f"{pairs.split}.json"
    if not path.is_file():
        return pairs, f"{pairs.split}: no phrase links ({path.name} is not there)"
    source, target = zip(*pairs.texts, strict=True)
    links = read_phrase_links(path, source, target, languages)
    dropped = links.listed - links.found
    note = f"{pairs.split}: {links.found} of {links.listed} phrase links found in the text"
    return replace(pairs, build=PairBuilder(links=links.by_line)), f"{note}, {dropped} dropped"

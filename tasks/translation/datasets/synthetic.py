"""The generated sentences of translation: options and splits (`tasks.translation.synthetic`)."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random

from pydantic import Field

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions, datasets
from tasks.synthetic_splits import SyntheticSplit, synthetic_splits, unseen
from tasks.translation.datasets import Pair, TranslationCorpus
from tasks.translation.synthetic import grow
from tasks.translation.synthetic_grammar import Order, translate

#: Source words of the shortest sentences.
SHORTEST = 4


class SyntheticOptions(DatasetOptions):
    """Options of the generator."""

    length: int = Field(
        12, ge=6, le=60, description='longest training source, in words; "long" has up to twice it'
    )
    reordering: float = Field(
        1.0, ge=0, le=1, description="share of verbs and modifiers that change their place"
    )
    noise: float = Field(
        0.15, ge=0, le=0.9, description="share of extensions that are words without a counterpart"
    )
    train_size: int = Field(6000, ge=1, description="training pairs")
    validation_size: int = Field(300, ge=1)
    test_size: int = Field(500, ge=1, description="pairs in each of the two test sets")
    data_seed: int = Field(1, ge=0, description="draws the sentences; not the trial's seed")


@datasets("translation").register("synthetic")
class SyntheticDataset(Dataset[TranslationCorpus]):
    """Generated pairs. The test sets depend on the options and the data seed, not on how many
    training pairs are drawn."""

    name = "synthetic"
    summary = (
        "a synchronous grammar: long-distance reordering, agreement, one-to-many, dropped words"
    )
    external = False
    gold = True
    Options = SyntheticOptions

    @classmethod
    def load(cls, options: SyntheticOptions, data_root: Path | None = None) -> TranslationCorpus:
        """Generate the pairs. Raises UsageError if too few different short sentences exist."""
        return generate(options)


# A warm worker tests many cells on the same sentences.
@lru_cache(maxsize=1)
def generate(options: SyntheticOptions) -> TranslationCorpus:
    """All splits. Raises UsageError as `SyntheticDataset.load`."""
    longest = options.length
    splits = synthetic_splits(
        options.train_size,
        options.validation_size,
        options.test_size,
        within=(SHORTEST, longest),
        long=(longest + 1, 2 * longest),
    )
    seen: set[Hashable] = set()
    made = {split.name: _pairs(split, options, seen) for split in splits}
    return TranslationCorpus(
        source_language="controlled English",
        target_language="invented",
        train=made["train"],
        validation=made["validation"],
        tests={"test": made["test"], "long": made["long"]},
    )


def _pairs(split: SyntheticSplit, options: SyntheticOptions, seen: set[Hashable]) -> list[Pair]:
    """Pairs whose source lengths are spread evenly."""
    # The text that seeds the draws is part of the data: another one gives other sentences.
    random = Random(f"translation probe/{options.data_seed}/{split.name}")
    order = Order.of(options.reordering)

    def draw() -> Pair:
        lengths = split.longest - split.shortest + 1
        length = split.shortest + int(random.random() * lengths)
        source, target, links = translate(grow(random, length, options.noise), order)
        return Pair("", " ".join(source), " ".join(target), links)

    pairs = unseen(
        split.size,
        draw,
        lambda pair: (pair.source_text,),
        seen,
        lambda found: UsageError(
            f"found only {found} of {split.size} different sentences"
            f" of at most {split.longest} words",
            where=f"{SyntheticDataset.name}, {split.name} split",
            remedy="raise length or lower the number of pairs",
        ),
    )
    return [replace(pair, id=f"{split.name}-{number}") for number, pair in enumerate(pairs)]

"""The probe of translation: sentences of a synchronous grammar, with exact word alignments."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from random import Random
from typing import ClassVar

from pydantic import Field

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions, datasets
from tasks.translation.datasets import Pair, TranslationCorpus
from tasks.translation.synthetic import grow
from tasks.translation.synthetic_grammar import Order, translate

#: Source words of the shortest sentences.
SHORTEST = 4


class ProbeOptions(DatasetOptions):
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


@datasets("translation").register("probe")
class ProbeDataset(Dataset[TranslationCorpus]):
    """Generated pairs. The test sets depend on the knobs and the data seed, not on how many
    training pairs are drawn."""

    name: ClassVar[str] = "probe"
    summary: ClassVar[str] = (
        "a synchronous grammar: long-distance reordering, agreement, one-to-many, dropped words"
    )
    external: ClassVar[bool] = False
    gold: ClassVar[bool] = True
    Options: ClassVar[type[DatasetOptions]] = ProbeOptions

    @classmethod
    def load(cls, options: DatasetOptions, data_root: Path | None = None) -> TranslationCorpus:
        """Generate. Raises UsageError where so many different short sentences do not exist."""
        assert isinstance(options, ProbeOptions)
        return generate(options)


# A warm worker tests many cells on the same sentences.
@lru_cache(maxsize=1)
def generate(options: ProbeOptions) -> TranslationCorpus:
    """The probe of these options. Raises UsageError as `ProbeDataset.load`."""
    longest = options.length
    seen: set[str] = set()
    test = _split("test", options, options.test_size, (SHORTEST, longest), seen)
    long = _split("long", options, options.test_size, (longest + 1, 2 * longest), seen)
    validation = _split("validation", options, options.validation_size, (SHORTEST, longest), seen)
    train = _split("train", options, options.train_size, (SHORTEST, longest), seen)
    return TranslationCorpus(
        source_language="controlled English",
        target_language="invented",
        train=train,
        validation=validation,
        tests={"test": test, "long": long},
    )


def _split(
    name: str, options: ProbeOptions, size: int, lengths: tuple[int, int], seen: set[str]
) -> list[Pair]:
    """Pairs of source lengths spread evenly over low..high; none is in `seen`, all are after."""
    random = Random(f"translation probe/{options.data_seed}/{name}")
    order = Order.of(options.reordering)
    low, high = lengths
    pairs: list[Pair] = []
    attempts = 0
    while len(pairs) < size:
        attempts += 1
        if attempts > 20 * size + 1000:
            raise UsageError(
                f"found only {len(pairs)} of {size} different sentences of at most {high} words",
                where=f"probe, {name} split",
                remedy="raise length or lower the number of pairs",
            )
        length = low + int(random.random() * (high - low + 1))
        source, target, links = translate(grow(random, length, options.noise), order)
        text = " ".join(source)
        if text not in seen:
            seen.add(text)
            pairs.append(Pair(f"{name}-{len(pairs)}", text, " ".join(target), links))
    return pairs

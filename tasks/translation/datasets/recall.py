"""Multi-query associative recall as translation: pairs of keys and values, then keys whose values
are to be written.

    k3 v7 k9 v1 n4 k5 v7 ? k5 k3 k9   ->   k5 v7 k3 v7 k9 v1

Arora 2023 asks language models for the values of keys seen before; mad-lab (Poli 2024) puts noise
words between the pairs. Here the sequence is the source, so that the cross-attention has to do the
recalling. A language model reads each query before it answers; likewise the target repeats the key,
and the decoder then looks up what it has just written. With the values alone as the target every
word takes two look-ups, of the query and of its pair. A vector of fixed size must hold all pairs.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random

from pydantic import Field, model_validator

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions, datasets
from tasks.synthetic_splits import SyntheticSplit, synthetic_splits, unseen
from tasks.translation.datasets import Pair, TranslationCorpus

#: Pairs of the shortest sequences.
FEWEST = 2
#: The word between pairs and queries.
ASK = "?"
#: Different noise words.
NOISE_WORDS = 8


class RecallOptions(DatasetOptions):
    """Options of the generator."""

    pairs: int = Field(
        6, ge=FEWEST, le=64, description='most pairs in training; "long" has up to twice as many'
    )
    vocabulary: int = Field(
        16, ge=4, le=4096, description="different keys, and as many different values"
    )
    noise: float = Field(
        0.1, ge=0, le=0.9, description="probability of another noise word before a pair"
    )
    repeat_keys: bool = Field(
        True, description="the target has every key before its value; false: values alone"
    )
    train_size: int = Field(6000, ge=1, description="training sequences")
    validation_size: int = Field(300, ge=1)
    test_size: int = Field(500, ge=1, description="sequences in each of the two test sets")
    data_seed: int = Field(1, ge=0, description="draws the sequences; not the trial's seed")

    @model_validator(mode="after")
    def _enough_keys(self) -> RecallOptions:
        if self.vocabulary < 2 * self.pairs:
            raise ValueError(
                f"a sequence of {2 * self.pairs} pairs takes as many different keys: raise "
                "vocabulary, or lower pairs"
            )
        return self


@datasets("translation").register("recall")
class RecallDataset(Dataset[TranslationCorpus]):
    """Generated sequences. The test sets depend on the options and the data seed, not on how many
    training sequences are drawn."""

    name = "recall"
    summary = "multi-query associative recall: keys with values, then keys to be answered"
    citation = "task: Arora et al. (2023), Zoology; noise: Poli et al. (2024), mad-lab"
    external = False
    gold = True
    Options = RecallOptions

    @classmethod
    def load(cls, options: RecallOptions, data_root: Path | None = None) -> TranslationCorpus:
        """Generate the sequences. Raises UsageError if too few different ones exist."""
        return generate(options)


# A warm worker tests many cells on the same sequences.
@lru_cache(maxsize=1)
def generate(options: RecallOptions) -> TranslationCorpus:
    """All splits. Raises UsageError as `RecallDataset.load`."""
    splits = synthetic_splits(
        options.train_size,
        options.validation_size,
        options.test_size,
        within=(FEWEST, options.pairs),
        long=(options.pairs + 1, 2 * options.pairs),
    )
    seen: set[Hashable] = set()
    made = {split.name: _sequences(split, options, seen) for split in splits}
    return TranslationCorpus(
        source_language="pairs and queries",
        target_language="values",
        train=made["train"],
        validation=made["validation"],
        tests={"test": made["test"], "long": made["long"]},
        answer_every=2 if options.repeat_keys else 1,
    )


def draw_sequence(random: Random, pairs: int, options: RecallOptions) -> Pair:
    """One sequence of so many pairs whose keys all differ, every key asked for once, in any order.
    Keys of the target are linked to the query, values to the value of the pair. Only
    `Random.random` is called, which gives the same numbers in every version of Python."""
    keys = sorted(range(options.vocabulary), key=lambda _: random.random())[:pairs]
    source: list[str] = []
    places: list[int] = []  # of the pairs' values
    for key in keys:
        while random.random() < options.noise:
            source.append(f"n{int(random.random() * NOISE_WORDS)}")
        source += [f"k{key}", f"v{int(random.random() * options.vocabulary)}"]
        places.append(len(source) - 1)
    asked = sorted(range(pairs), key=lambda _: random.random())
    source.append(ASK)
    looked: list[int] = []  # the source word of every target word
    for pair in asked:
        if options.repeat_keys:
            looked.append(len(source))
        looked.append(places[pair])
        source.append(f"k{keys[pair]}")
    target = " ".join(source[place] for place in looked)
    return Pair("", " ".join(source), target, tuple(enumerate(looked)))


def _sequences(split: SyntheticSplit, options: RecallOptions, seen: set[Hashable]) -> list[Pair]:
    """Sequences whose numbers of pairs are spread evenly."""
    random = Random(f"recall/{options.data_seed}/{split.name}")

    def draw() -> Pair:
        sizes = split.longest - split.shortest + 1
        pairs = split.shortest + int(random.random() * sizes)
        return draw_sequence(random, pairs, options)

    found = unseen(
        split.size,
        draw,
        lambda pair: (pair.source_text,),
        seen,
        lambda number: UsageError(
            f"found only {number} of {split.size} different sequences"
            f" of at most {split.longest} pairs",
            where=f"{RecallDataset.name}, {split.name} split",
            remedy="raise vocabulary or lower the number of sequences",
        ),
    )
    return [replace(pair, id=f"{split.name}-{number}") for number, pair in enumerate(found)]

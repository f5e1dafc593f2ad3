"""The generated pairs of entailment: options and splits (`tasks.entailment.synthetic`)."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random

from pydantic import Field, model_validator

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions, datasets
from tasks.entailment.datasets import LABELS, EntailmentCorpus, PairExample
from tasks.entailment.synthetic import LEXICONS, PairWriter, Size
from tasks.synthetic_splits import SyntheticSplit, synthetic_splits, unseen


class SyntheticOptions(DatasetOptions):
    """Options of the generator."""

    clauses: int = Field(
        3,
        ge=1,
        description="most claims of a premise; those of the test set 'long' have twice as many",
    )
    lexicon: Size = Field("small", description="how many words there are for each role")
    near: float = Field(
        0.4,
        ge=0,
        le=1,
        description="share of the other claims that are near variants of the hypothesis; the rest"
        " is about others",
    )
    negation: float = Field(0.05, ge=0, le=1, description="share of claims with 'no' or 'do not'")
    noise: float = Field(
        0.03, ge=0, le=1, description="share of hypotheses whose three labels are exchanged"
    )
    train_size: int = Field(9000, ge=3, description="training pairs, rounded up to threes")
    validation_size: int = Field(450, ge=3, description="validation pairs")
    test_size: int = Field(900, ge=3, description="pairs of each test set")
    data_seed: int = Field(1, ge=0, description="seed of the generator")

    @model_validator(mode="after")
    def _places(self) -> SyntheticOptions:
        places = len(LEXICONS[self.lexicon].places)
        if 2 * self.clauses > places:
            raise ValueError(f"the {self.lexicon} lexicon has places for {places // 2} clauses")
        return self


@datasets("entailment").register("synthetic")
class SyntheticDataset(Dataset[EntailmentCorpus]):
    """Generated pairs with word alignments."""

    name = "synthetic"
    summary = (
        "generated claims with quantifiers, negation and a taxonomy; one of several clauses decides"
    )
    external = False
    gold = True
    Options = SyntheticOptions

    @classmethod
    def load(cls, options: SyntheticOptions, data_root: Path | None) -> EntailmentCorpus:
        """Generate the corpus; the same options give the same bytes."""
        return generate(options)


# A warm worker tests many cells on the same texts.
@lru_cache(maxsize=1)
def generate(options: SyntheticOptions) -> EntailmentCorpus:
    """All splits. Raises UsageError if more pairs are asked for than there can be."""
    most = options.clauses
    splits = synthetic_splits(
        options.train_size,
        options.validation_size,
        options.test_size,
        within=(1, most),
        long=(max(2 * most - 1, most + 1), 2 * most),
    )
    seen: set[Hashable] = set()
    made = {split.name: tuple(_pairs(split, options, seen)) for split in splits}
    return EntailmentCorpus(
        train=made["train"],
        validation=made["validation"],
        tests={"test": made["test"], "long": made["long"]},
        notes=(
            f"synthetic set: 1 to {most} claims a premise,"
            f" {splits[1].shortest} to {splits[1].longest} in 'long';"
            f" the labels of {options.noise:.0%} of the hypotheses are exchanged",
        ),
    )


def _pairs(
    split: SyntheticSplit, options: SyntheticOptions, seen: set[Hashable]
) -> Iterator[PairExample]:
    # The text that seeds the draws is part of the data: another one gives other pairs.
    rng = Random(f"entailment probe {options.data_seed} {split.name}")
    writer = PairWriter(options.lexicon, options.near, options.negation, options.noise)

    triples = unseen(
        -(-split.size // len(LABELS)),
        lambda: writer.triple(rng, split.shortest, split.longest),
        lambda pairs: [(pair.premise, pair.hypothesis) for pair in pairs],
        seen,
        lambda found: UsageError(
            f"found only {found * len(LABELS)} of {split.size} different pairs"
            f" with up to {split.longest} claims",
            where=f"{SyntheticDataset.name}, {split.name} split",
            remedy="ask for fewer pairs or more clauses",
        ),
    )
    for number, triple in enumerate(triples):
        for pair in triple:
            yield replace(pair, id=f"{split.name}-{number}-{pair.id}")

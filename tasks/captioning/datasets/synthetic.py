"""The drawn scenes of captioning, with exact captions and a box for every noun phrase: options and
splits (`tasks.captioning.synthetic`)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from random import Random

from pydantic import Field

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions, datasets
from tasks.captioning.datasets import CaptionCorpus, Picture
from tasks.captioning.synthetic import (
    Named,
    Pair,
    canonical,
    captions,
    combinations,
    place,
    random_description,
)

#: Shares of all descriptions: training may use these, validation those up to the next bound.
TRAIN_SHARE, VALIDATION_SHARE = 0.8, 0.9
#: Attempts for each picture before a split is given up.
PATIENCE = 400

Description = Sequence[Named]
Accepts = Callable[[Description], bool]


class SyntheticOptions(DatasetOptions):
    """Options of the generator."""

    objects: int = Field(
        3, ge=1, le=6, description='most shapes in a training picture; "long" has one more'
    )
    size: int = Field(24, ge=16, le=256, description="width and height of pictures in pixels")
    noise: float = Field(
        0.1, ge=0, le=1, description="strength of background clutter, grain and tints"
    )
    forms: int = Field(4, ge=1, le=6, description="different forms of shapes")
    sizes: bool = Field(False, description="whether shapes are large or small, and said to be")
    textures: bool = Field(False, description="whether some shapes are striped")
    references: int = Field(2, ge=1, le=5, description="wordings of each description")
    places: bool = Field(
        True,
        description="whether captions say where in the picture each shape lies; otherwise how it "
        "lies to the next",
    )
    held_out: int = Field(
        0,
        ge=0,
        le=6,
        description='pairs of colour and form kept out of training; the test set "novel" has them',
    )
    train_size: int = Field(4000, ge=1, description="training pictures")
    validation_size: int = Field(150, ge=1)
    test_size: int = Field(250, ge=1, description="pictures in each test set")
    data_seed: int = Field(1, ge=0, description="draws the scenes; not the trial's seed")


@datasets("captioning").register("synthetic")
class SyntheticDataset(Dataset[CaptionCorpus]):
    """Scenes of up to `objects` shapes; "long" has one more than any training picture.

    A hash of its description decides the split a scene may be in, so no description, and with it
    no caption, is shared between splits. The test sets do not depend on how many training
    pictures are drawn.
    """

    name = "synthetic"
    summary = "drawn scenes of 1 to 4 coloured shapes and where they lie"
    external = False
    gold = True
    Options = SyntheticOptions

    @classmethod
    def load(cls, options: SyntheticOptions, data_root: Path | None = None) -> CaptionCorpus:
        """Draw the scenes; their pixels are made by `tasks.captioning.pixels`."""
        return generate(options)


# A warm worker tests many cells on the same scenes, and drawing lots for them takes seconds.
@lru_cache(maxsize=1)
def generate(options: SyntheticOptions) -> CaptionCorpus:
    """All splits. Raises UsageError: too few descriptions for a split."""
    pairs = combinations(options.forms)
    known, novel = pairs[options.held_out :], pairs[: options.held_out]
    usual = range(1, options.objects + 1)
    more = range(options.objects + 1, options.objects + 2)

    def own(name: str) -> Accepts:
        return lambda description: home(description, options.data_seed, options.places) == name

    size = options.test_size
    tests = {
        "test": _split("test", options, size, usual, known, own("test")),
        # Longer than anything else, hence never the description of a training picture.
        "long": _split("long", options, size, more, known, lambda description: True),
    }
    if novel:

        def has_novel(description: Description) -> bool:
            return any((named.colour, named.shape) in novel for named in description)

        tests["novel"] = _split("novel", options, size, usual, pairs, has_novel)
    validation = options.validation_size
    return CaptionCorpus(
        train=_split("train", options, options.train_size, usual, known, own("train")),
        validation=_split("validation", options, validation, usual, known, own("validation")),
        tests=tests,
        size=options.size,
    )


def home(description: Description, data_seed: int, places: bool) -> str:
    """The split whose pictures may have this description: train, validation or test."""
    text = f"{data_seed}:{canonical(description, places=places)}"
    share = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest()) / 2**32
    if share < TRAIN_SHARE:
        return "train"
    return "validation" if share < VALIDATION_SHARE else "test"


def _split(
    name: str,
    options: SyntheticOptions,
    size: int,
    counts: range,
    pairs: Sequence[Pair],
    accepts: Accepts,
) -> tuple[Picture, ...]:
    """Pictures of `counts` shapes drawn from `pairs`, of descriptions that are accepted."""
    # The text that seeds the draws is part of the data: another one gives other scenes.
    random = Random(f"captioning probe/{options.data_seed}/{name}")
    pictures: list[Picture] = []
    for _ in range(PATIENCE * size):
        count = counts.start + int(random.random() * len(counts))
        description = random_description(
            random, count, pairs, sizes=options.sizes, textures=options.textures
        )
        if not accepts(description):
            continue
        scene = place(random, description, options.noise)
        pictures.append(
            Picture(
                id=f"{name}-{len(pictures)}",
                image=scene,
                captions=captions(description, scene, options.references, places=options.places),
                length=count,
            )
        )
        if len(pictures) == size:
            return tuple(pictures)
    raise UsageError(
        f"found only {len(pictures)} of {size} scenes",
        where=f"{SyntheticDataset.name}, {name} split",
        remedy="raise objects or choose another data_seed",
    )

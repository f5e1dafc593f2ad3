"""Settings of captioning: those of every task, the picture's network, and how it is helped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tasks.budgets_old import PUBLISHED, SMOKE, Family, family
from tasks.settings import Settings

if TYPE_CHECKING:
    from bench.attention.base import Placement


class CaptioningSettings(Settings):
    """Adds the convolutional network and what trains it."""

    vocabulary: int = Field(
        0, ge=0, description="most frequent words that can be written; 0 keeps every word"
    )
    captions_each: int = Field(
        2, ge=1, description="captions of each picture in a batch; the picture is encoded once"
    )
    eval_pictures: int = Field(100, ge=1, description="pictures in a batch when testing")

    # the network that sees
    stem: int = Field(4, ge=1, description="pixels from patch to patch; patches overlap by half")
    width: int = Field(64, ge=8, description="channels of a patch; every stage doubles them")
    stages: int = Field(1, ge=0, description="how often the map of patches is halved")
    blocks: int = Field(1, ge=0, description="residual blocks of each stage")
    picture_regions: int = Field(
        3, ge=1, description="regions along each side of a picture, for hierarchical attention"
    )

    # what it is shown, and what it is asked besides
    crop: float = Field(
        0.0, ge=0, lt=1, description="largest share of a side that is cut off in training"
    )
    flip: float = Field(0.0, ge=0, le=1, description="share of pictures mirrored in training")
    tint: float = Field(
        0.0, ge=0, lt=1, description="how far brightness, contrast and colours vary in training"
    )
    words_weight: float = Field(
        0.0,
        ge=0,
        description="weight of the helper loss: which words a picture's captions use",
    )
    words_pool: Literal["max", "mean"] = Field(
        "max", description="whether a word is spoken for by one cell or by all of them together"
    )
    words_share: float = Field(
        0.0, ge=0, lt=1, description="share of the steps that train by the helper loss alone"
    )
    meteor: bool = Field(False, description="METEOR as well, where Java is there (seconds)")


# What each budget means for each captioning data set. Chosen on validation data.

_SMOKE: Mapping[str, Any] = {
    **SMOKE,
    "steps": 8,
    "batch_units": 200,
    "width": 8,
    "train_limit": 200,
    "test_limit": 16,
    "max_length": 20,
}

#: Xu 2015's sizes: an LSTM of 1000, embeddings of 512, annotation vectors of 512. Patches and
#: stages give their 14 x 14 cells for pictures of 224 pixels (`--set size=224`).
_XU: Mapping[str, Any] = {
    **PUBLISHED["recurrent"],
    "cell": "lstm",
    "embedding": 512,
    "stages": 2,
    "blocks": 2,
    "width": 128,
}


def probe_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """The probe: 9 to 19 core-seconds a cell under `laptop`. What the network sees has to be
    learned before words can be put in order: the first third of the steps asks for words alone."""
    if budget == "smoke":
        return _SMOKE
    if budget == "gpu":
        return {**_published(placement), "stem": 2, "stages": 1, "steps": 3000, "dropout": 0.1}
    base = {
        "steps": 480,
        "batch_units": 450,
        "captions_each": 1,
        "stem": 2,
        "width": 16,
        "hidden": 64,
        "embedding": 64,
        "validations": 4,
        "learning_rate": 8e-3,
        "schedule": "linear",
        "dropout": 0.0,
        "max_length": 60,
        "words_weight": 0.2,
        "words_share": 0.3,
    }
    if family(placement) == "recurrent":
        return base
    deep = {**base, "encoder_layers": 1, "decoder_layers": 2, "learning_rate": 3e-3}
    if placement == "transformer":
        return {**deep, "steps": 420, "feed_forward": 128}
    return {**deep, "steps": 360, "batch_units": 700}


def photo_settings(budget: str, placement: Placement) -> Mapping[str, Any]:
    """Photos of 64 pixels, 4 x 4 cells: about 15 core-minutes for 6,000 of them under `laptop`.

    On validation photos, at equal core-seconds: 64 pixels taught the network more words than 96
    (it sees each photo 2.5 times as often), and asking all cells together for a word taught more
    than asking the one that speaks for it most.
    """
    photos = {
        "stages": 2,
        "vocabulary": 2500,
        "words_weight": 0.1,
        "words_pool": "mean",
        "words_share": 0.4,
        "flip": 0.5,
        "crop": 0.2,
        "tint": 0.1,
        "label_smoothing": 0.1,
        "dropout": 0.3,
        "weight_decay": 0.02,
        "max_length": 24,
        "beam": 3,
    }
    if budget == "smoke":
        return {**_SMOKE, "vocabulary": 500, "words_weight": 0.1, "flip": 0.5}
    if budget == "gpu":
        return {**photos, **_published(placement), "steps": 30000, "validations": 20, "beam": 5}
    base = {
        **photos,
        "steps": 4000,
        "batch_units": 1400,
        "captions_each": 2,
        "hidden": 192,
        "embedding": 128,
        "width": 48,
        "validations": 4,
        "learning_rate": 2e-3,
    }
    if family(placement) == "recurrent":
        return base
    return {**base, "encoder_layers": 1, "decoder_layers": 2}


def _published(placement: Placement) -> Mapping[str, Any]:
    if family(placement) == "recurrent":
        return _XU
    network = {name: _XU[name] for name in ("stages", "blocks", "width")}
    return {**PUBLISHED[family(placement)], **network}

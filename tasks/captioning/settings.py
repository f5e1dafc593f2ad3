"""Settings of captioning: those of every task, the picture's network, and how it is helped."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from tasks.settings import Settings


class CaptioningSettings(Settings):
    """Adds the convolutional network that sees the pictures, and what trains it."""

    vocab_size: int = Field(
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
        0.0, ge=0, description="weight of the helper loss: which words a picture's captions use"
    )
    words_pool: Literal["max", "mean"] = Field(
        "max", description="whether a word is spoken for by one cell or by all of them together"
    )
    words_share: float = Field(
        0.0, ge=0, lt=1, description="share of the steps that train by the helper loss alone"
    )
    meteor: bool = Field(False, description="METEOR as well, where Java is there (seconds)")

"""Settings of captioning: those of every task, the picture's network, and how it is helped."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal

from pydantic import Field

from tasks.settings import Settings

# Fields that only one of the two ways to see pictures reads.
_pretrained: Any = partial(Field, json_schema_extra={"needs": "features"})
_trained: Any = partial(Field, json_schema_extra={"unless": "features"})


class CaptioningSettings(Settings):
    """Adds what sees the pictures: features of a pretrained network, or a convolutional network and
    what trains it."""

    chooses_recipe: ClassVar[tuple[str, ...]] = ("features",)

    vocab_size: int = Field(
        0, ge=0, description="most frequent words that can be written; 0 keeps every word"
    )
    captions_each: int = Field(
        2, ge=1, description="captions of each picture in a batch; the picture is encoded once"
    )
    eval_pictures: int = Field(100, ge=1, description="pictures in a batch when testing")

    # a pretrained network that sees
    features: str = Field(
        "none",
        description="pretrained network whose fixed features are read in place of pixels "
        "(efficientnet-lite0: the extra vision); none trains a network from scratch",
    )
    features_stride: int = _pretrained(
        32,
        ge=1,
        description="pixels along a side of a cell: 32 is the network's last map, 16 finer",
    )
    features_size: int = _pretrained(
        224, ge=32, le=1024, description="pixels along a side of a picture as the network sees it"
    )
    features_dim: int = _pretrained(
        256, ge=0, description="principal components of the features that are kept; 0 keeps all"
    )

    # the network trained from scratch
    stem: int = _trained(4, ge=1, description="pixels from patch to patch; patches overlap by half")
    width: int = _trained(64, ge=8, description="channels of a patch; every stage doubles them")
    stages: int = _trained(1, ge=0, description="how often the map of patches is halved")
    blocks: int = _trained(1, ge=0, description="residual blocks of each stage")
    picture_regions: int = Field(
        3, ge=1, description="regions along each side of a picture, for hierarchical attention"
    )

    # what it is shown, and what it is asked besides
    crop: float = _trained(
        0.0, ge=0, lt=1, description="largest share of a side that is cut off in training"
    )
    flip: float = _trained(0.0, ge=0, le=1, description="share of pictures mirrored in training")
    tint: float = _trained(
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

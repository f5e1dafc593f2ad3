"""Pretrained networks that see pictures, by name: their features stand in for pixels.

A network is fixed: its features are computed once per data set (`tasks.captioning.features`), as Xu
et al. (2015) took those of a VGG network, and what is trained reads nothing else of a picture.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from bench.errors import UsageError
from bench.registry import Registry

#: Value of the setting `features` where pixels are read by a network trained from scratch.
FROM_SCRATCH = "none"


class PictureEncoder(ABC):
    """A pretrained network. Registered with `@picture_encoders.register(name)`, or by an entry
    point of the group `attnbench.picture_encoders`.

    An instance holds the network, and is only made where features are computed; importing its
    module imports no network.

    Args:
        stride: one of `strides`.

    Attributes:
        strides: pixels along a side of a cell, for each of the maps that can be read.
    """

    summary: ClassVar[str]
    licence: ClassVar[str]
    citation: ClassVar[str] = ""
    strides: ClassVar[tuple[int, ...]]

    @abstractmethod
    def __init__(self, stride: int) -> None: ...

    @classmethod
    @abstractmethod
    def version(cls) -> str:
        """Text that names the weights, and changes whenever features would.

        Raises UsageError where the network or its weights are not installed.
        """

    @abstractmethod
    def __call__(self, pictures: np.ndarray) -> np.ndarray:
        """Features P,rows,columns,C float32 of pictures P,H,W,3 uint8 RGB whose sides the stride
        divides."""


picture_encoders: Registry[type[PictureEncoder]] = Registry(
    "picture encoder",
    package="tasks.captioning.encoders",
    group="attnbench.picture_encoders",
    mark="@picture_encoders.register(",
    base="tasks.captioning.encoders:PictureEncoder",
)


def grid_of_features(encoder: type[PictureEncoder], size: int, stride: int) -> tuple[int, int]:
    """Rows and columns of the features of a picture of `size` pixels a side. Raises UsageError for
    a stride that the encoder has not, or that does not divide the size."""
    if stride not in encoder.strides:
        known = " or ".join(map(str, encoder.strides))
        raise UsageError(
            f"this encoder has no features of stride {stride}",
            where="--set features_stride",
            remedy=f"it is {known}",
        )
    if size % stride:
        raise UsageError(
            f"pictures of {size} pixels do not divide into cells of {stride}",
            where="--set features_size",
            remedy=f"choose a multiple of {stride}",
        )
    return size // stride, size // stride

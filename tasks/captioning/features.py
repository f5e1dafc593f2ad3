"""Features of pictures, seen by a pretrained network: computed once per data set and kept.

The features of a cell are reduced to their principal components, which are found on training
pictures alone, and divided by their common spread, so that their mean variance is 1. What is kept
is named by what it is made from: the content of every picture, the encoder and its weights, the
size of the pictures, the grid and the components.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL

from tasks.captioning.datasets import Picture
from tasks.captioning.encoders import PictureEncoder, grid_of_features, picture_encoders
from tasks.captioning.pictures import Ranges
from tasks.captioning.pixels import read_pixels
from tasks.captioning.settings import CaptioningSettings
from tasks.data.cache import cached, digest
from tasks.data.problems import Problem, summary

# Raised when the same pictures and network would give other features than before.
VERSION = 1
#: Pictures that go through the network at once.
BATCH = 16
#: Training pictures that components are found on, evenly spaced.
SAMPLE = 400
# Seconds between two lines on standard error.
_TELLING = 20.0


@dataclass(frozen=True)
class Features:
    """The pictures of a split as a network sees them.

    Attributes:
        array: N,L,K float16 in raster order, memory-mapped read-only; index it with a batch's
            places to get a copy.
        fingerprint: digest of all that the array depends on.
    """

    array: np.ndarray
    fingerprint: str


@dataclass(frozen=True)
class Projection:
    """Principal components of features.

    Attributes:
        centre: C, the mean.
        components: C,K, orthogonal, divided by the common spread. The largest entry of each is
            positive, so that the same data always give the same signs.
    """

    centre: np.ndarray
    components: np.ndarray

    @classmethod
    def fitted(cls, blocks: Iterator[np.ndarray], size: int) -> Projection:
        """The first `size` components (0: all) of features n,C given block by block."""
        count, total, products = 0, np.zeros(()), np.zeros(())
        for block in blocks:
            count += len(block)
            total = total + block.sum(axis=0, dtype=np.float64)
            products = products + (block.T @ block).astype(np.float64)
        centre = total / count
        covariance = products / count - np.outer(centre, centre)
        variances, vectors = np.linalg.eigh(covariance)  # ascending
        kept = min(size or len(centre), len(centre))
        vectors = vectors[:, ::-1][:, :kept]
        largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(kept)]
        spread = np.sqrt(max(variances[::-1][:kept].mean(), 1e-12))
        return cls(
            centre.astype(np.float32),
            np.ascontiguousarray(vectors * np.sign(largest) / spread, dtype=np.float32),
        )

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Features ...,C to components ...,K."""
        components: np.ndarray = (features - self.centre) @ self.components
        return components


class PictureFeatures:
    """What sees the pictures of a corpus: an encoder with the components of its training pictures.

    Args:
        train: training pictures.
        cache: folder for prepared data; several processes may ask for the same at once.
        ranges: the grey levels that are black and white in pictures that are not 8-bit.

    Attributes:
        grid: rows and columns of cells.
        description: names encoder, weights and grid, for a reader of the results.
        projection: the components.

    Raises:
        UsageError: an encoder that is not known or not installed, a stride it has not, pictures
            that cannot be read, a cache that cannot be written.
    """

    def __init__(
        self,
        settings: CaptioningSettings,
        train: Sequence[Picture],
        cache: Path,
        ranges: Ranges | None = None,
    ) -> None:
        name, stride = settings.features, settings.features_stride
        self._encoder = picture_encoders.get(name, where="--set features")
        self._size, self._stride, self._ranges = settings.features_size, stride, ranges
        self.grid = grid_of_features(self._encoder, self._size, stride)
        version = self._encoder.version()
        self.description = (
            f"pictures of {self._size} pixels seen by {name} ({version}): "
            f"{self.grid[0]} x {self.grid[1]} cells"
        )
        self._folder = cache / "features"
        self._built: PictureEncoder | None = None
        source = ("features", VERSION, PIL.__version__, name, version, self._size, stride)
        sample = [train[place] for place in _spaced(len(train), SAMPLE)]
        images = [picture.image_digest for picture in sample]
        self._key = digest(*source, settings.features_dim, ranges or {}, images)

        def fit(path: Path) -> None:
            blocks = self._seen(sample, "principal components")
            found = Projection.fitted(
                (block.reshape(-1, block.shape[-1]) for block in blocks), settings.features_dim
            )
            with path.open("wb") as file:
                np.savez(file, centre=found.centre, components=found.components)

        path = cached(self._folder, self._key, fit, suffix=".npz")
        with np.load(path) as held:
            self.projection = Projection(held["centre"], held["components"])

    @property
    def channels(self) -> int:
        """K, components of each cell."""
        return self.projection.components.shape[1]

    def of(self, pictures: Sequence[Picture]) -> Features:
        """The features of some pictures of the corpus. Raises UsageError as the class does."""
        images = [picture.image_digest for picture in pictures]
        key = digest(self._key, images)

        def build(path: Path) -> None:
            self._write(path, pictures)

        path = cached(self._folder, key, build, suffix=".npy")
        return Features(np.load(path, mmap_mode="r"), key)

    def _write(self, path: Path, pictures: Sequence[Picture]) -> None:
        shape = (len(pictures), self.grid[0] * self.grid[1], self.channels)
        stack = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
        place = 0
        for block in self._seen(pictures, "features"):
            cells = block.reshape(len(block), -1, block.shape[-1])  # P,L,C
            stack[place : place + len(block)] = self.projection(cells)
            place += len(block)
        stack.flush()

    def _seen(self, pictures: Sequence[Picture], what: str) -> Iterator[np.ndarray]:
        """Features P,rows,columns,C of batches of pictures; progress goes to standard error."""
        if self._built is None:
            self._built = self._encoder(self._stride)
        began = told = time.monotonic()
        problems: list[Problem] = []
        for start in range(0, len(pictures), BATCH):
            pixels, wrong = read_pixels(pictures[start : start + BATCH], self._size, self._ranges)
            problems += wrong
            if problems:
                continue  # look for further problems, compute nothing
            found = self._built(pixels)
            assert found.shape[:3] == (len(pixels), *self.grid), found.shape
            yield found
            if time.monotonic() - told > _TELLING:
                told = time.monotonic()
                sys.stderr.write(
                    f"{what}: {start + len(pixels)} of {len(pictures)} pictures, "
                    f"{told - began:.0f} s\n"
                )
        if problems:
            raise summary(problems)


def _spaced(count: int, most: int) -> np.ndarray:
    """At most `most` of the numbers below `count`, evenly spaced."""
    return np.unique(np.linspace(0, count - 1, min(count, most)).astype(int))

"""Pictures to one array of pixels on disk, read or drawn once and shared by all trials."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import PIL
import torch
import torch.nn.functional as F
from torch import Tensor

from bench.errors import UsageError
from tasks.captioning.datasets import UNREADABLE, Drawn, Picture, read_picture
from tasks.captioning.settings import CaptioningSettings
from tasks.data.cache import cached, digest
from tasks.data.readers import Problem, summary

# Raised when the same pictures would give other pixels than before.
VERSION = 1
# Pictures brought into memory at once.
CHUNK = 256


@dataclass(frozen=True)
class Pixels:
    """The pictures of a split.

    Attributes:
        array: N,size,size,3 uint8 RGB, memory-mapped read-only; index it with a batch's places
            to get a copy.
        fingerprint: digest of the array's bytes.
    """

    array: np.ndarray
    fingerprint: str


def pixels(pictures: Sequence[Picture], size: int, cache: Path) -> Pixels:
    """All pictures as squares of `size` pixels, squashed where they are not square.

    Args:
        cache: folder for prepared data. Files are named by what they are made from (name, size
            and time of every picture file; the scene of every drawing), so a picture that was
            changed is read anew; several processes may ask at once.

    Raises:
        UsageError: pictures that cannot be read, counted, the first named; the cache cannot be
            written.
    """
    key = digest("pixels", VERSION, PIL.__version__, size, list(map(_identity, pictures)))
    folder = cache / "pictures"
    path = cached(folder, key, lambda temporary: _write(temporary, pictures, size), suffix=".npy")
    seal = cached(folder, key, lambda temporary: _seal(temporary, path), suffix=".sha256")
    return Pixels(np.load(path, mmap_mode="r"), seal.read_text("ascii"))


def _identity(picture: Picture) -> str:
    if isinstance(picture.image, Drawn):
        return picture.image.key
    try:
        stat = picture.image.stat()
    except OSError as error:
        raise UsageError(
            f"cannot be read ({error.strerror})",
            where=str(picture.image),
            remedy="replace or remove it",
        ) from None
    return f"{os.fspath(picture.image)}:{stat.st_size}:{stat.st_mtime_ns}"


def _write(path: Path, pictures: Sequence[Picture], size: int) -> None:
    shape = (len(pictures), size, size, 3)
    stack = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    problems: list[Problem] = []
    done = 0
    for kind, group in itertools.groupby(
        (picture.image for picture in pictures), key=lambda image: isinstance(image, Drawn)
    ):
        images = list(group)
        for start in range(0, len(images), CHUNK):
            chunk = images[start : start + CHUNK]
            place = slice(done + start, done + start + len(chunk))
            stack[place] = _drawn(chunk, size) if kind else _read(chunk, size, problems)
        done += len(images)
    if problems:
        raise summary(problems)
    stack.flush()


def _drawn(images: Sequence[Path | Drawn], size: int) -> np.ndarray:
    drawings = [image for image in images if isinstance(image, Drawn)]
    return type(drawings[0]).draw(drawings, size)


def _read(images: Sequence[Path | Drawn], size: int, problems: list[Problem]) -> np.ndarray:
    """N,size,size,3; files that cannot be read are added to `problems`."""
    chunk = np.zeros((len(images), size, size, 3), dtype=np.uint8)
    for number, path in enumerate(images):
        assert isinstance(path, Path)
        try:
            chunk[number] = read_picture(path, size)
        except UsageError as error:
            problems.append(Problem.of(error, UNREADABLE))
    return chunk


def _seal(path: Path, array: Path) -> None:
    with array.open("rb") as file:
        path.write_text(hashlib.file_digest(file, "sha256").hexdigest(), "ascii")


# Pictures changed at random in training: cut, mirrored, tinted.


def augmented(pictures: Tensor, settings: CaptioningSettings) -> Tensor:
    """P,H,W,3 to the same shape; what the settings leave out stays as it is.

    Draws from PyTorch's default generator, so a seed fixes the outcome.
    """
    if settings.crop or settings.flip:
        pictures = _moved(pictures, settings.crop, settings.flip)
    return _tinted(pictures, settings.tint) if settings.tint else pictures


def _moved(pictures: Tensor, crop: float, flip: float) -> Tensor:
    """Each picture's cut, whose sides are 1 - crop to 1 of the whole, stretched to its size, and
    mirrored with probability `flip`. P,H,W,3."""
    P = len(pictures)
    device = pictures.device
    share = 1.0 - crop * torch.rand(P, 2, device=device)  # across, down
    shift = (1.0 - share) * (2.0 * torch.rand(P, 2, device=device) - 1.0)
    mirrored = torch.rand(P, device=device) < flip
    turn = torch.where(mirrored, -1.0, 1.0)
    theta = torch.zeros(P, 2, 3, device=device)
    theta[:, 0, 0], theta[:, 1, 1] = share[:, 0] * turn, share[:, 1]
    theta[:, :, 2] = shift
    maps = pictures.permute(0, 3, 1, 2).float()
    places = F.affine_grid(theta, list(maps.shape), align_corners=False)
    moved = F.grid_sample(maps, places, padding_mode="reflection", align_corners=False)
    return moved.permute(0, 2, 3, 1)


def _tinted(pictures: Tensor, tint: float) -> Tensor:
    """Contrast and brightness by one factor and shift a picture, and a factor a colour."""
    P = len(pictures)
    pixels = pictures.float()

    def spread(size: int) -> Tensor:
        return tint * (2.0 * torch.rand(P, 1, 1, size, device=pixels.device) - 1.0)

    contrast, brightness, colours = 1.0 + spread(1), 127.5 * spread(1), 1.0 + 0.5 * spread(3)
    return ((pixels - 127.5) * contrast * colours + 127.5 + brightness).clamp(0.0, 255.0)

"""Pictures to pixels: reading, drawing, caching, broken files."""

from __future__ import annotations

import os
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bench.errors import UsageError
from tasks.captioning.datasets import Caption, Picture
from tasks.captioning.datasets.synthetic import SyntheticDataset, SyntheticOptions
from tasks.captioning.pictures import read_picture
from tasks.captioning.pixels import pixels


def photo(path: Path, colour: tuple[int, int, int] = (250, 10, 10), mode: str = "RGB") -> Picture:
    image = Image.new("RGB", (30, 20), colour)
    image.paste((10, 10, 250), (0, 0, 15, 20))
    image.convert(mode).save(path)
    return Picture(path.name, path, (Caption("a picture"),), 2)


def test_pictures_are_squashed_not_cropped(tmp_path: Path) -> None:
    found = pixels([photo(tmp_path / "a.png")], 16, tmp_path / "cache").array
    assert found.shape == (1, 16, 16, 3) and found.dtype == np.uint8
    assert (found[0, :, :5] == (10, 10, 250)).all() and (found[0, :, 11:] == (250, 10, 10)).all()


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "1"])
def test_every_kind_of_picture_becomes_rgb(tmp_path: Path, mode: str) -> None:
    suffix = ".jpg" if mode == "CMYK" else ".png"
    photo(tmp_path / f"a{suffix}", mode=mode)
    assert read_picture(tmp_path / f"a{suffix}", 16).shape == (16, 16, 3)


def test_photos_stand_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (20, 10))
    image.paste((255, 255, 255), (0, 0, 10, 10))
    exif = image.getexif()
    exif[0x0112] = 6  # to be turned by a quarter, clockwise: left becomes top
    image.save(tmp_path / "a.png", exif=exif)
    found = read_picture(tmp_path / "a.png", 16)
    assert (found[:5] == 255).all() and (found[11:] == 0).all()


def test_the_array_is_made_once_and_anew_when_a_picture_changes(tmp_path: Path) -> None:
    pictures = [photo(tmp_path / "a.png"), photo(tmp_path / "b.png", (0, 99, 0))]
    first = pixels(pictures, 16, tmp_path / "cache")
    files = sorted((tmp_path / "cache" / "pictures").glob("*.npy"))
    stamps = [file.stat().st_mtime_ns for file in files]
    again = pixels(pictures, 16, tmp_path / "cache")
    assert [file.stat().st_mtime_ns for file in files] == stamps and len(files) == 1
    assert isinstance(again.array, np.memmap) and not again.array.flags.writeable
    assert again.fingerprint == first.fingerprint
    photo(tmp_path / "b.png", (0, 0, 99))
    os.utime(tmp_path / "b.png", ns=(1, 1))
    changed = pixels(pictures, 16, tmp_path / "cache")
    assert changed.fingerprint != first.fingerprint
    assert (changed.array[0] == first.array[0]).all() and (changed.array[1] != first.array[1]).any()
    assert pixels(pictures, 17, tmp_path / "cache").array.shape == (2, 17, 17, 3)


def test_drawn_pictures_are_cached_too(tmp_path: Path) -> None:
    options = SyntheticOptions(train_size=300, validation_size=1, test_size=1)
    train = SyntheticDataset.load(options).train
    found = pixels(train, 24, tmp_path)
    assert found.array.shape == (300, 24, 24, 3)
    drawn = type(train[0].image).draw([picture.image for picture in train], 24)  # type: ignore
    assert (found.array == drawn).all()
    assert (
        pixels(SyntheticDataset.load(options).train, 24, tmp_path).fingerprint == found.fingerprint
    )


def test_drawings_and_files_mix(tmp_path: Path) -> None:
    drawn = SyntheticDataset.load(
        SyntheticOptions(train_size=2, validation_size=1, test_size=1)
    ).train
    pictures = [drawn[0], photo(tmp_path / "a.png"), drawn[1]]
    found = pixels(pictures, 24, tmp_path).array
    assert (found[1] == read_picture(tmp_path / "a.png", 24)).all()
    assert (found[[0, 2]] == pixels(drawn, 24, tmp_path).array).all()


def _ask(arguments: tuple[list[Picture], Path]) -> str:
    return pixels(arguments[0], 16, arguments[1]).fingerprint


def test_several_processes_may_ask_at_once(tmp_path: Path) -> None:
    pictures = [photo(tmp_path / f"{number}.png") for number in range(8)]
    with get_context("fork").Pool(3) as pool:
        found = pool.map(_ask, [(pictures, tmp_path / "cache")] * 3)
    assert len(set(found)) == 1
    assert not list((tmp_path / "cache" / "pictures").glob(".*.npy"))


def test_broken_pictures_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    pictures = [photo(tmp_path / f"{number}.jpg") for number in range(4)]
    (tmp_path / "1.jpg").write_text("not a picture")
    whole = (tmp_path / "2.jpg").read_bytes()
    (tmp_path / "2.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError) as caught:
        pixels(pictures, 16, tmp_path / "cache")
    line = str(caught.value)
    assert line.startswith(f"{tmp_path / '1.jpg'}: 2 pictures that cannot be read, the first:")
    assert "\n" not in line
    assert not list((tmp_path / "cache" / "pictures").glob("*.npy"))


def test_a_truncated_picture_is_named(tmp_path: Path) -> None:
    photo(tmp_path / "a.jpg")
    whole = (tmp_path / "a.jpg").read_bytes()
    (tmp_path / "a.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match=r"a\.jpg: cannot be read as a picture \((?i:.*truncated)"):
        read_picture(tmp_path / "a.jpg", 16)


def test_a_missing_picture_is_named(tmp_path: Path) -> None:
    gone = Picture("a.jpg", tmp_path / "a.jpg", (Caption("a"),), 1)
    with pytest.raises(UsageError, match=r"a\.jpg: cannot be read"):
        pixels([gone], 16, tmp_path)
    with pytest.raises(UsageError, match=r"a\.jpg: cannot be read as a picture \(\[Errno 2\]"):
        read_picture(tmp_path / "a.jpg", 16)


def test_a_picture_of_absurd_size_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 299)
    with pytest.raises(UsageError, match="decompression bomb"):
        read_picture(tmp_path / "a.png", 16)

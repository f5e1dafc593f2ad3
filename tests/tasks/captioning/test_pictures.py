"""Picture files of every kind: visible, alike over a data set, over white where transparent; what
cannot be read is refused in one line."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from own_data import OWN
from PIL import Image

from bench.cli import main as cli
from bench.errors import UsageError
from tasks.captioning.pictures import grey_ranges, look_at, read_picture

SIDE = 16
#: 0 to 1, from left to right.
RAMP = np.broadcast_to(np.linspace(0, 1, SIDE), (SIDE, SIDE))


def saved(path: Path, values: np.ndarray, **options: Any) -> Path:
    Image.fromarray(np.ascontiguousarray(values)).save(path, **options)
    return path


@pytest.mark.parametrize(
    ("name", "values", "black_and_white"),
    [
        ("a.png", (RAMP * 65535).astype(np.uint16), (0, 65535)),
        ("a.tif", (RAMP * 65535).astype(np.uint16), (0, 65535)),
        ("a.pgm", (RAMP * 65535).astype(np.uint16), (0, 65535)),
        ("a.png", (RAMP * 4095).astype(np.uint16), (0, 4095)),
        ("a.png", (RAMP * 255).astype(np.uint16), (0, 255)),
        ("a.tif", (RAMP * 60000).astype(np.int32), (0, 65535)),
        ("a.tif", (RAMP * 2e9).astype(np.int32), (0, 2e9)),
        ("a.tif", (RAMP * 200 - 100).astype(np.int32), (-100, 100)),
        ("a.tif", RAMP.astype(np.float32), (0, 1)),
        ("a.tif", (RAMP * 255).astype(np.float32), (0, 255)),
        ("a.tif", (RAMP * 2 - 1).astype(np.float32), (-1, 1)),
        ("a.tif", (RAMP * 1e6).astype(np.float32), (0, 1e6)),
        ("a.tif", (RAMP * 1e-3).astype(np.float32), (0, 1e-3)),  # all but black in the usual range
        ("a.tif", (1 - RAMP * 1e-3).astype(np.float32), (1 - 1e-3, 1)),
        ("a.png", (RAMP * 40 + 60000).astype(np.uint16), (60000, 60040)),
    ],
)
def test_every_depth_is_visible(
    tmp_path: Path, name: str, values: np.ndarray, black_and_white: tuple[float, float]
) -> None:
    path = saved(tmp_path / name, values)
    low, high = black_and_white
    expected = np.rint((values.astype(float) - low) * 255 / (high - low))
    for ranges in (None, grey_ranges([path])):
        found = read_picture(path, SIDE, ranges)
        np.testing.assert_allclose(found, np.repeat(expected[:, :, None], 3, 2), atol=1)


@pytest.mark.parametrize(("kind", "suffix"), [(np.uint16, "png"), (np.float32, "tif")])
def test_brightness_can_be_compared_within_a_data_set(
    tmp_path: Path, kind: type, suffix: str
) -> None:
    levels = [(4000 * number, 4000 * number + 8000) for number in range(1, 6)]
    paths = [
        saved(tmp_path / f"{low}.{suffix}", (RAMP * (high - low) + low).astype(kind))
        for low, high in levels
    ]
    ranges = grey_ranges(paths)
    means = [read_picture(path, SIDE, ranges).mean() for path in paths]
    np.testing.assert_allclose(means, [(low + 4000) * 255 / 65535 for low, _ in levels], atol=1)


def test_one_among_many_does_not_change_the_others(tmp_path: Path) -> None:
    ordinary = saved(tmp_path / "a.png", (RAMP * 255).astype(np.uint8))
    deep = saved(tmp_path / "b.png", (RAMP * 65535).astype(np.uint16))
    ranges = grey_ranges([ordinary, deep])
    assert (read_picture(ordinary, SIDE, ranges) == read_picture(ordinary, SIDE)).all()
    assert (read_picture(ordinary, SIDE) == read_picture(deep, SIDE, ranges)).all()


def transparent(mode: str) -> tuple[Image.Image, dict[str, Any]]:
    """A black left half; a right half of some colour that is transparent."""
    image = Image.new("RGB", (SIDE, SIDE))
    image.paste((90, 30, 60), (SIDE // 2, 0, SIDE, SIDE))
    if mode in ("RGBA", "LA"):
        image = image.convert(mode)
        alpha = Image.new("L", (SIDE, SIDE), 255)
        alpha.paste(0, (SIDE // 2, 0, SIDE, SIDE))
        image.putalpha(alpha)
        return image, {}
    if mode == "P":
        image = image.quantize(2)
        return image, {"transparency": image.getpixel((SIDE - 1, 0))}
    if mode == "I;16":
        grey = np.asarray(image.convert("L")).astype(np.uint16) * 257
        return Image.fromarray(grey), {"transparency": int(grey[0, -1])}
    image = image.convert(mode)
    return image, {"transparency": image.getpixel((SIDE - 1, 0))}


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB", "I;16"])
def test_transparent_places_are_white(tmp_path: Path, mode: str) -> None:
    image, options = transparent(mode)
    image.save(tmp_path / "a.png", **options)
    found = read_picture(tmp_path / "a.png", SIDE)
    assert (found[:, :6] == 0).all() and (found[:, 10:] == 255).all()


def test_half_transparent_places_are_pale(tmp_path: Path) -> None:
    Image.new("RGBA", (SIDE, SIDE), (0, 0, 0, 51)).save(tmp_path / "a.png")
    assert (read_picture(tmp_path / "a.png", SIDE) == 204).all()


def test_transparent_colours_of_16_bits_are_white(tmp_path: Path) -> None:
    def chunk(name: bytes, data: bytes) -> bytes:
        whole = name + data
        return struct.pack(">I", len(data)) + whole + struct.pack(">I", zlib.crc32(whole))

    colour = struct.pack(">HHH", 20000, 30000, 40000)
    rows = (b"\0" + (b"\0" * 6 * 8 + colour * 8)) * SIDE
    (tmp_path / "a.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 16, 2, 0, 0, 0))
        + chunk(b"tRNS", colour)
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )
    found = read_picture(tmp_path / "a.png", SIDE)
    assert (found[:, :6] == 0).all() and (found[:, 10:] == 255).all()


@pytest.mark.parametrize("mode", ["RGB", "L", "1", "CMYK"])
def test_ordinary_pictures_are_pillows(tmp_path: Path, mode: str) -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (30, 20, 3), np.uint8)).convert(mode)
    path = tmp_path / ("a.tif" if mode == "CMYK" else "a.png")
    image.save(path)
    expected = image.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    assert (read_picture(path, SIDE) == np.asarray(expected)).all()


def test_names_do_not_matter(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", (RAMP * 255).astype(np.uint8))
    for name in ("a.PNG", "a.jpg", "a"):
        (tmp_path / name).write_bytes(path.read_bytes())
        assert (read_picture(tmp_path / name, SIDE) == read_picture(path, SIDE)).all()
    (tmp_path / "link.png").symlink_to(path)
    assert (read_picture(tmp_path / "link.png", SIDE) == read_picture(path, SIDE)).all()


@pytest.mark.parametrize("suffix", ["gif", "tif"])
def test_the_first_of_several_pictures_counts(tmp_path: Path, suffix: str) -> None:
    first, second = (Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "blue"))
    path = tmp_path / f"a.{suffix}"
    first.save(path, save_all=True, append_images=[second])
    assert (read_picture(path, SIDE) == (255, 0, 0)).all()
    assert look_at(path, ()).frames == 2 and look_at(path, ()).flat


def test_a_picture_that_has_changed_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "one.png"
    Image.new("RGB", (9, 9), "red").save(path)
    assert look_at(path, ()).flat
    path.write_bytes(b"no picture any more")
    with pytest.raises(UsageError, match="cannot be read as a picture"):
        look_at(path, ())


def test_broken_exif_data_is_passed_over(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.jpg", (RAMP * 255).astype(np.uint8), exif=b"Exif\0\0MM\0*\xff\xff")
    assert read_picture(path, SIDE).max() > 200


def pipe(path: Path) -> None:
    os.mkfifo(path)


def not_finite(path: Path) -> None:
    values = RAMP.astype(np.float32)
    values[3, 3] = np.nan
    saved(path, values, format="TIFF")


def cut_lzw(path: Path) -> None:
    saved(path, np.random.default_rng(0).random((64, 64)).astype(np.float32), format="TIFF")
    Image.open(path).save(path, format="TIFF", compression="tiff_lzw")
    content = bytearray(path.read_bytes())
    content[200:600] = b"\xff" * 400
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (pipe, "is a named pipe, not a file"),
        (Path.mkdir, "is a folder, not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "is a device, not a file"),
        (lambda path: path.symlink_to(path), "cannot be read as a picture"),
        (lambda path: path.write_bytes(b""), "cannot be read as a picture"),
        (lambda path: path.write_text("<html>" + "no " * 9999), "cannot be read as a picture"),
        (not_finite, "values that are not finite"),
        (cut_lzw, "cannot be read as a picture"),
    ],
)
def test_what_is_no_picture_is_refused_in_a_line(
    tmp_path: Path,
    make: Callable[[Path], Any],
    message: str,
    capfd: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "a.png"
    make(path)
    with pytest.raises(UsageError, match=message) as caught:
        read_picture(path, SIDE)
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_check_and_run_agree(
    tmp_path: Path, kind: type, capsys: pytest.CaptureFixture[str]
) -> None:
    OWN["captioning"].write(tmp_path)
    for number in range(12):
        with Image.open(tmp_path / f"{number}.png") as image:
            grey = np.asarray(image.convert("L")).astype(kind) * kind(
                257 if kind is np.uint16 else 1
            )
        grey = grey.copy()
        grey[number] = 0
        saved(tmp_path / f"{number}.png", grey, format="PNG" if kind is np.uint16 else "TIFF")
    assert cli.main(["data", "check", "folder", str(tmp_path)]) == 0
    assert "is black and" in capsys.readouterr().out
    command = [*OWN["captioning"].command("captioning", tmp_path), "--set", "max_steps=2"]
    assert cli.main(command) == 0


def test_check_notes_flat_and_animated_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    OWN["captioning"].write(tmp_path)
    frames = [Image.new("RGB", (SIDE, SIDE), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "3.png", format="GIF", save_all=True, append_images=frames[1:])
    assert cli.main(["data", "check", "folder", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert "note: 1 pictures of one colour throughout, the first: 3.png" in out
    assert "note: 1 pictures with further frames or pages, the first: 3.png" in out

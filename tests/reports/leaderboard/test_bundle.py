"""What must never be read, and that it is said what it was."""

from __future__ import annotations

import io
import json
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from bundles import write

from bench.errors import UsageError
from reports.leaderboard.bundle import open_bundle
from reports.leaderboard.rules import Limits, parse_json

HASH = "a" * 64
LIMITS = Limits(archive=10**6, member=10**5, unpacked=3 * 10**5, members=50, text=100)
RECORD, ROWS = f"trials/{HASH}.json", f"trials/{HASH}.examples.json"
TESTED = f"testsets/{HASH}.json"


def manifest(**fields: object) -> bytes:
    whole = {
        "schema": 2,
        "name": "a bundle",
        "class": "same",
        "rules": "2",
        "versions": {"attention-bench": "0.1.0"},
        "mechanisms": {},
        "trials": {HASH: {"data": "b" * 64, "test_sets": [["test", HASH]]}},
        "files": {name: {"bytes": 2, "sha256": "c" * 64} for name in (RECORD, ROWS, TESTED)},
    }
    return json.dumps({**whole, **fields}).encode()


def whole(**fields: object) -> dict[str, bytes]:
    return {RECORD: b"{}", ROWS: b"{}", TESTED: b"{}", "bundle.json": manifest(**fields)}


def refusal(path: Path, limits: Limits = LIMITS) -> str:
    with pytest.raises(UsageError) as caught:
        open_bundle(path, limits)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_whole_bundle_opens(tmp_path: Path) -> None:
    bundle = open_bundle(write(tmp_path / "b.zip", whole()), LIMITS)
    assert bundle.manifest.name == "a bundle" and bundle.read(RECORD) == b"{}"
    assert not bundle.is_whole(RECORD, b"{}")  # the manifest above names another digest


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("../../etc/passwd", "leads out of the bundle"),
        ("/etc/passwd", "leads out of the bundle"),
        ("trials/../../x.json", "leads out of the bundle"),
        ("..\\x", "leads out of the bundle"),
        ("C:/x", "leads out of the bundle"),
        ("model.pkl", "may not be in a bundle"),
        ("trials/run.py", "may not be in a bundle"),
        (f"trials/{HASH}.json\n", "may not be in a bundle"),
        (f"trials/{HASH.upper()}.json", "may not be in a bundle"),
    ],
)
def test_other_names_are_refused(tmp_path: Path, name: str, reason: str) -> None:
    path = write(tmp_path / "b.zip", {**whole(), name: b"x"})
    assert reason in refusal(path)
    assert [one.name for one in tmp_path.iterdir()] == ["b.zip"]  # nothing was unpacked


def test_everything_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    said = refusal(write(tmp_path / "b.zip", {**whole(), "../x": b"", "y.pkl": b""}))
    assert "'../x' leads out" in said and "'y.pkl' may not be in a bundle" in said


def test_links_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for name, content in whole().items():
            info = zipfile.ZipInfo(name)
            mode = stat.S_IFLNK | 0o777 if name == RECORD else stat.S_IFREG | 0o644
            info.create_system, info.external_attr = 3, mode << 16
            archive.writestr(info, content)
    assert "is a link" in refusal(tmp_path / "b.zip")


def test_a_name_twice_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        for name, content in whole().items():
            archive.writestr(name, content)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(RECORD, b"another")
    assert "is a duplicate" in refusal(tmp_path / "b.zip")


def test_bombs_are_not_unpacked(tmp_path: Path) -> None:
    path = write(tmp_path / "b.zip", {**whole(), RECORD: b"0" * 10**8})
    assert path.stat().st_size < LIMITS.archive
    assert "unpacks to 100,000,000 bytes, 100,000 are allowed" in refusal(path)


def test_text_that_shrank_too_much_is_no_text(tmp_path: Path) -> None:
    limits = LIMITS.model_copy(update={"member": 10**7, "unpacked": 10**8})
    path = write(tmp_path / "b.zip", {**whole(), RECORD: b"0" * (2 * 10**6)})
    assert "bytes to 2,000,000" in refusal(path, limits)


@pytest.mark.parametrize("end", [10, 100, -1, -30, -200])
def test_archives_that_were_cut_off(tmp_path: Path, end: int) -> None:
    path = write(tmp_path / "b.zip", whole())
    path.write_bytes(path.read_bytes()[:end])
    assert "cut off" in refusal(path) and refusal(path).endswith("leaderboard submit`")


def test_no_damage_shows_a_traceback(tmp_path: Path) -> None:
    """Every byte of the directory changed in turn: a bundle, or one line."""
    content = write(tmp_path / "b.zip", whole()).read_bytes()
    for place in range(content.index(b"PK\x01\x02"), len(content)):
        bad = content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]
        (tmp_path / "b.zip").write_bytes(bad)
        try:
            open_bundle(tmp_path / "b.zip", LIMITS).read(RECORD)
        except UsageError as error:
            assert str(error).isprintable()


def test_nor_many_small_ones(tmp_path: Path) -> None:
    names = [f"trials/{digit * 64}.json" for digit in "0123"]
    path = write(tmp_path / "b.zip", {**whole(), **dict.fromkeys(names, b"0" * 90_000)})
    assert "360," in refusal(path) and "300,000 are allowed" in refusal(path)


def test_a_size_that_is_a_lie_does_not_help(tmp_path: Path) -> None:
    """The directory says 5 bytes; the member unpacks to a million."""
    path = write(tmp_path / "b.zip", {**whole(), "bundle.json": b"0" * 10**6})
    content = path.read_bytes()
    path.write_bytes(content.replace(struct.pack("<L", 10**6), struct.pack("<L", 5)))
    assert "bundle.json" in refusal(path)


def test_too_many_members_are_not_even_listed(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(51):
            archive.writestr(f"trials/{number:064x}.json", b"")
    assert "members, more than the 50 allowed" in refusal(path)
    assert "too many members" in refusal(path, LIMITS.model_copy(update={"members": 10}))


def test_archives_that_are_none(tmp_path: Path) -> None:
    path = tmp_path / "b.zip"
    path.write_bytes(b"")
    assert "not a zip archive" in refusal(path)
    path.write_bytes(b"x" * 5000)
    assert "not a zip archive" in refusal(path)
    path.write_bytes(b"x" * (LIMITS.archive + 1))
    assert "more than the 1,000,000 allowed" in refusal(path)
    assert "no such file" in refusal(tmp_path / "nowhere.zip")
    assert "directory" in refusal(tmp_path)


def test_nothing_may_follow_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "b.zip", whole())
    path.write_bytes(path.read_bytes() + b"#!/bin/sh\n")
    assert "behind its end" in refusal(path)


def test_a_directory_that_is_larger_than_it_says(tmp_path: Path) -> None:
    """ZIP64 records override the figures that were looked at."""
    content = write(tmp_path / "b.zip", whole()).read_bytes()
    locator = b"PK\x06\x07" + struct.pack("<LQL", 0, 0, 1)
    (tmp_path / "b.zip").write_bytes(content[:-22] + locator + content[-22:])
    assert "ZIP64" in refusal(tmp_path / "b.zip")


def test_encrypted_and_oddly_compressed_members(tmp_path: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_BZIP2) as archive:
        for name, content in whole().items():
            archive.writestr(name, content)
    (tmp_path / "b.zip").write_bytes(out.getvalue())
    assert "another way than deflate" in refusal(tmp_path / "b.zip")
    content = bytearray(write(tmp_path / "b.zip", whole()).read_bytes())
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        content[content.index(mark) + place] |= 1
    (tmp_path / "b.zip").write_bytes(bytes(content))
    assert "is encrypted" in refusal(tmp_path / "b.zip")


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"schema": 1}, "schema"),
        ({"name": "a \x1b[31mred name"}, "cannot be printed"),
        ({"name": ""}, "name"),
        ({"class": "champion"}, "class"),
        ({"trials": {}}, "trials"),
        ({"trials": {"../x": {"data": None}}}, "trials"),
        ({"code": "import os"}, "code"),
        ({"files": {}}, "is not in the manifest"),
    ],
)
def test_manifests_that_are_none(tmp_path: Path, fields: dict[str, object], reason: str) -> None:
    assert reason in refusal(write(tmp_path / "b.zip", whole(**fields)))


def test_members_that_are_missing(tmp_path: Path) -> None:
    content = whole()
    del content[ROWS]
    assert f"{ROWS} is missing" in refusal(write(tmp_path / "b.zip", content))
    del content["bundle.json"]
    assert "no bundle.json" in refusal(write(tmp_path / "b.zip", content))


@pytest.mark.parametrize("text", [b"[" * 100_000, b"NaN", b"[Infinity]", b"\xff", b"{", b""])
def test_only_json_is_read(text: bytes) -> None:
    with pytest.raises(ValueError):
        parse_json(text)

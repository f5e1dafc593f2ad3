"""Publishers' archives: got, checked, unpacked into place, or not there at all."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UsageError
from tasks.base import datasets, tasks
from tasks.data.archives import WORK, Distribution, Piece, fetch_distribution, unpack
from tasks.data.download import size_text

MEMBERS = {
    "top/data/a.txt": b"a" * 5000,
    "top/data/deep/b.txt": b"b",
    "top/readme.txt": b"r",
    "__MACOSX/top/data/a.txt": b"x",
}


def zipped(members: dict[str, bytes] = MEMBERS) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return sink.getvalue()


def tarred(members: dict[str, bytes] = MEMBERS) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(f"./{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("./top/data/link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/hosts"
        archive.addfile(link)
    return sink.getvalue()


FOLDER = {"top/data/": "toy/data", "top/readme.txt": "toy/readme"}
FORMS: dict[str, Any] = {"zip": zipped, "tar": tarred}


def toy(hub: Any, form: str, body: bytes, **changes: Any) -> Distribution:
    hub.files[f"toy.{form}"] = body
    places = changes.pop("places", FOLDER)
    piece = Piece(hub.url(f"toy.{form}?download=1"), places, form, len(body), **changes)  # type: ignore[arg-type]
    hub.files[f"toy.{form}?download=1"] = body
    return Distribution("toy", "somebody", (piece,))


def visible(root: Path) -> set[str]:
    """Every file in its place; work in progress does not count."""
    found = (path.relative_to(root) for path in root.rglob("*") if path.is_file())
    return {str(path) for path in found if path.parts[0] != WORK}


WHOLE = {"toy/data/a.txt", "toy/data/deep/b.txt", "toy/readme"}


@pytest.mark.parametrize("form", FORMS)
def test_an_archive_goes_to_its_places(hub: Any, tmp_path: Path, form: str) -> None:
    body = FORMS[form]()
    card = toy(hub, form, body, sha256=hashlib.sha256(body).hexdigest())
    lines: list[str] = []
    found = fetch_distribution(card, tmp_path, report=lines.append)
    assert found.got == (f"toy.{form}",) and found.kept == ()
    assert lines == [f"toy: toy.{form}, {size_text(len(body))}"]
    # Neither links nor what nobody asked for.
    assert visible(tmp_path) == WHOLE
    assert (tmp_path / "toy/data/a.txt").read_bytes() == MEMBERS["top/data/a.txt"]
    [(url, record)] = json.loads((tmp_path / WORK / "toy.json").read_text()).items()
    assert url.startswith(hub.endpoint) and record["size"] == len(body)
    # The archive itself is gone, and nothing is asked for again.
    assert not (tmp_path / WORK / "toy").exists()
    assert fetch_distribution(card, tmp_path).kept == (f"toy.{form}",)
    assert len(hub.seen) == 1


def test_files_that_are_no_archives(hub: Any, tmp_path: Path) -> None:
    hub.files |= {"a.json": b"[]", "b.txt.gz": gzip.compress(b"text\n")}
    card = Distribution(
        "toy",
        "somebody",
        (
            Piece(hub.url("a.json"), {"": "toy/a.json"}),
            Piece(hub.url("b.txt.gz"), {"": "toy/b.txt"}, "gz"),
        ),
    )
    fetch_distribution(card, tmp_path)
    assert (tmp_path / "toy/a.json").read_bytes() == b"[]"
    assert (tmp_path / "toy/b.txt").read_bytes() == b"text\n"
    (tmp_path / "toy/a.json").unlink()
    assert fetch_distribution(card, tmp_path).got == ("a.json",)


@pytest.mark.parametrize("form", ["zip", "tar", "gz"])
@pytest.mark.parametrize("keep", [0.3, 0.97])
def test_nothing_of_a_damaged_archive_is_taken_for_whole(
    hub: Any, tmp_path: Path, form: str, keep: float
) -> None:
    body = gzip.compress(bytes(range(256)) * 9) if form == "gz" else FORMS[form]()
    places = {"": "toy/plain"} if form == "gz" else FOLDER
    card = toy(hub, form, body[: int(len(body) * keep)], places=places)
    message = rf"toy\.{form}: the archive is damaged .*download it again"
    with pytest.raises(UsageError, match=message):
        fetch_distribution(card, tmp_path)
    assert visible(tmp_path) == set()
    # It is thrown away, so that the next call gets it anew.
    fetch_distribution(toy(hub, form, body, places=places), tmp_path)
    assert visible(tmp_path)


def test_an_archive_without_what_is_wanted_is_named(hub: Any, tmp_path: Path) -> None:
    card = toy(hub, "zip", zipped({"other/a.txt": b""}))
    with pytest.raises(UsageError, match=r"toy\.zip: the archive lacks top/data/"):
        fetch_distribution(card, tmp_path)
    assert visible(tmp_path) == set()


def test_members_never_leave_their_place(tmp_path: Path) -> None:
    archive = tmp_path / "evil.zip"
    archive.write_bytes(zipped({"top/data/../../../escaped": b"no", "top/data/a": b"yes"}))
    unpack("zip", archive, {"top/data/": "in"}, tmp_path / "root", tmp_path / "root/scratch")
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"evil.zip", "a"}


def test_wrong_contents_are_thrown_away(hub: Any, tmp_path: Path) -> None:
    card = toy(hub, "zip", zipped(), sha256="0" * 64)
    with pytest.raises(UsageError, match="the contents are not what was published"):
        fetch_distribution(card, tmp_path)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_cut_is_resumed_by_the_next_call(hub: Any, tmp_path: Path) -> None:
    body = zipped()
    card = toy(hub, "zip", body, sha256=hashlib.sha256(body).hexdigest())
    hub.cut = [100, 0, 0, 0]
    with pytest.raises(UsageError, match="what has arrived is kept"):
        fetch_distribution(card, tmp_path)
    assert visible(tmp_path) == set()
    fetch_distribution(card, tmp_path)
    assert visible(tmp_path) == WHOLE and hub.seen[-1][1] == "bytes=100-"


def test_no_room_to_unpack_keeps_the_archive(
    hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = toy(hub, "zip", zipped())

    def full(*given: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("tasks.data.archives.shutil.copyfileobj", full)
        with pytest.raises(UsageError, match=r"toy\.zip: cannot be unpacked .No space left"):
            fetch_distribution(card, tmp_path)
    assert visible(tmp_path) == set()
    fetch_distribution(card, tmp_path)
    assert visible(tmp_path) == WHOLE and len(hub.seen) == 1


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1_900, "1.9 kB"),
        (94_550_081, "95 MB"),
        (10**13, "10 TB"),
    ],
)
def test_sizes_as_people_say_them(size: int, said: str) -> None:
    assert size_text(size) == said


DISTRIBUTED = [
    (task, name, kind.card)
    for task in tasks.names()
    for name, kind in datasets(task).items()
    if isinstance(kind.card, Distribution)
]


@pytest.mark.parametrize(("task", "name", "card"), DISTRIBUTED)
def test_cards_are_in_order(task: str, name: str, card: Distribution) -> None:
    kind = datasets(task).get(name)
    assert card.name == name and kind.licence and kind.citation
    places = card.places()
    assert len(set(places)) == len(places)
    for piece in card.pieces:
        assert piece.url.startswith("https://") and piece.name
        digest = piece.sha256 or piece.md5
        # An archive that is made anew for every download names the commit instead.
        assert digest is not None or any(len(part) == 44 for part in piece.url.split("/"))
        assert digest is None or set(digest) <= set("0123456789abcdef")
        assert len(piece.sha256 or "0" * 64) == 64 and len(piece.md5 or "0" * 32) == 32
    # What it consists of is looked for where it is put.
    assert any(place.startswith(wanted) for place in places for wanted in kind.places)


def test_every_task_has_something_to_get() -> None:
    assert {task for task, _, _ in DISTRIBUTED} == set(tasks.names())

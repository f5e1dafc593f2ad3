"""Cards: what is fetched from a hub, where it lies, how it is read."""

from __future__ import annotations

import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.errors import UsageError
from tasks.data.hub import MANIFEST, Card, commit, fetch, paths, read_split

CARD = Card(
    name="toy",
    identifier="owner/toy",
    revision="refs/convert/parquet",
    format="parquet",
    files={"train": ("d/train/0.parquet", "d/train/1.parquet"), "test": ("d/test/0.parquet",)},
    columns={"source": "document", "summary": "summary"},
)


def parquet(*rows: tuple[str | None, str | None], group: int = 2) -> bytes:
    sink = io.BytesIO()
    columns = list(zip(*rows, strict=True))
    table = pa.table({"id": list(range(len(rows))), "document": columns[0], "summary": columns[1]})
    pq.write_table(table, sink, row_group_size=group)
    return sink.getvalue()


def serve(hub: Any, card: Card, bodies: dict[str, bytes]) -> None:
    """The hub has the card's files."""
    hub.datasets[card.identifier, card.revision] = bodies


def toy(hub: Any) -> None:
    serve(
        hub,
        CARD,
        {
            "d/train/0.parquet": parquet(("a", "1"), ("b", "2"), ("c", "3")),
            "d/train/1.parquet": parquet(("d", None), ("e", "5")),
            "d/test/0.parquet": parquet(("f", "6")),
        },
    )


def test_a_card_is_fetched_once(hub: Any, tmp_path: Path) -> None:
    toy(hub)
    lines: list[str] = []
    first = fetch(CARD, tmp_path, report=lines.append)
    assert first.folder == tmp_path / "hub" / "owner--toy" / "refs--convert--parquet"
    assert first.got == ("d/train/0.parquet", "d/train/1.parquet", "d/test/0.parquet")
    assert lines[0] == "toy: d/train/0.parquet"
    asked = len(hub.seen)
    assert any("refs%2Fconvert%2Fparquet" in path for path, _ in hub.seen)
    second = fetch(CARD, tmp_path)
    assert second.got == () and second.kept == first.got and len(hub.seen) == asked
    # A file that was cut or lost is got again, the others are kept.
    (first.folder / "d/test/0.parquet").write_bytes(b"x")
    assert fetch(CARD, tmp_path).got == ("d/test/0.parquet",)


def test_the_commit_behind_a_branch_is_recorded(hub: Any, tmp_path: Path) -> None:
    toy(hub)
    folder = fetch(CARD, tmp_path).folder
    assert commit(CARD, tmp_path) == hub.commit
    record = json.loads((folder / MANIFEST).read_text())
    body = hub.datasets[CARD.identifier, CARD.revision]["d/test/0.parquet"]
    assert record["d/test/0.parquet"] == {
        "size": len(body), "sha256": hashlib.sha256(body).hexdigest(), "commit": hub.commit,
    }  # fmt: skip
    assert commit(CARD, tmp_path / "elsewhere") is None


def test_published_digests_are_checked(hub: Any, tmp_path: Path) -> None:
    toy(hub)
    card = replace(CARD, sha256={"d/test/0.parquet": "0" * 64})
    with pytest.raises(UsageError, match="not what was published"):
        fetch(card, tmp_path)
    # What came before it is kept.
    assert fetch(CARD, tmp_path).got == ("d/test/0.parquet",)


def test_a_broken_connection_is_taken_up_where_it_broke(
    hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy(hub)
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 10)
    hub.cut = [10**9, 100]  # the description whole, then the first file
    folder = fetch(CARD, tmp_path).folder
    body = hub.datasets[CARD.identifier, CARD.revision]["d/train/0.parquet"]
    assert (folder / "d/train/0.parquet").read_bytes() == body
    assert [wanted for _, wanted in hub.seen][:3] == [None, None, "bytes=100-"]


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, r"refused \(HTTP 401\); .* accept its terms on the hub, and set HF_TOKEN"),
        (403, r"refused \(HTTP 403\); .* accept its terms on the hub, and set HF_TOKEN"),
        (404, r"http://.*: not found; the data set may have moved"),
        (503, r"download failed \(HTTP 503\); check the network"),
    ],
)
@pytest.mark.parametrize("before", [0, 2], ids=["description", "contents"])
def test_what_the_hub_refuses_is_one_line(
    hub: Any, tmp_path: Path, status: int, said: str, before: int
) -> None:
    toy(hub)
    # Two are answered before the contents: the description, and where the first file lies.
    hub.refuse = [0] * before + [status]
    with pytest.raises(UsageError, match=said):
        fetch(CARD, tmp_path)
    assert not list(tmp_path.rglob("*.parquet"))


def test_revisions_and_files_that_the_hub_does_not_have(hub: Any, tmp_path: Path) -> None:
    toy(hub)
    with pytest.raises(UsageError, match=r"owner/toy/revision/other: not found; .* check its card"):
        fetch(CARD.at("other"), tmp_path)
    del hub.datasets[CARD.identifier, CARD.revision]["d/test/0.parquet"]
    with pytest.raises(UsageError, match=r"d/test/0\.parquet: not found"):
        fetch(CARD, tmp_path)
    assert len(list(tmp_path.rglob("*.parquet"))) == 2


def test_a_token_goes_to_the_hub_alone(
    hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy(hub)
    monkeypatch.setenv("HF_TOKEN", "hf_made_up")
    fetch(replace(CARD, files={"test": CARD.files["test"]}), tmp_path)
    # The description, where the file lies, and the file at another host.
    assert hub.tokens == ["Bearer hf_made_up", "Bearer hf_made_up", ""]


def test_offline_mode_and_mirrors_without_https(
    hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy(hub)
    # The library reads the variable of the same name when it is imported.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(UsageError, match="in offline mode; unset HF_HUB_OFFLINE"):
        fetch(CARD, tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", "http://example.org")
    with pytest.raises(UsageError, match="'http' addresses are refused; use https"):
        fetch(CARD, tmp_path)
    assert hub.seen == []


def test_what_does_not_fit_is_not_begun(
    hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy(hub)
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr("tasks.data.download.shutil.disk_usage", lambda path: usage)
    with pytest.raises(UsageError, match=r"bytes are needed, 1,000 are free; make room"):
        fetch(CARD, tmp_path)
    assert len(hub.seen) == 1


def test_a_disk_that_fills_up_and_places_that_cannot_be_written(
    hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy(hub)
    full = Mock(side_effect=OSError(errno.ENOSPC, "No space left on device"))
    with monkeypatch.context() as patch:
        patch.setattr("huggingface_hub.file_download.http_get", full)
        with pytest.raises(UsageError, match=r"cannot be written .No space left on device"):
            fetch(CARD, tmp_path)
    assert not list(tmp_path.rglob("*.parquet")) and not list(tmp_path.rglob("*.incomplete"))
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file/hub.*: cannot be written"):
        fetch(CARD, tmp_path / "file")


def test_nothing_is_asked_for_or_written_beyond_the_files(tmp_path: Path) -> None:
    """In a process of its own, which imports the library as `attnbench data download` does."""
    script = """
import pathlib, pytest, sys
from test_hub import CARD, fetch, toy
from loopback_hub import loopback_hub
assert "huggingface_hub" not in sys.modules
with pytest.MonkeyPatch.context() as patch, loopback_hub(patch) as hub:
    toy(hub)
    fetch(CARD, pathlib.Path("root"))
    print([path.split("/")[0] for path, _ in hub.seen])
"""
    tests, home = Path(__file__).parent, tmp_path / "home"
    home.mkdir()
    path = [str(tests.parents[2]), str(tests), str(tests.parents[1] / "support")]
    variables = {"HOME": str(home), "HF_HOME": str(home), "PYTHONPATH": os.pathsep.join(path)}
    command = [sys.executable, "-c", script]
    ran = subprocess.run(
        command, cwd=tmp_path, env=os.environ | variables, check=False, capture_output=True
    )
    assert (ran.returncode, ran.stderr) == (0, b"")
    assert ran.stdout.decode().strip() == str(["api", "blobs", "blobs", "blobs"])
    assert list(home.iterdir()) == []


def test_parquet_rows_run_over_files_and_row_groups(hub: Any, tmp_path: Path) -> None:
    toy(hub)
    fetch(CARD, tmp_path)
    rows = read_split(CARD, tmp_path, "train")
    expected = [("a", "1"), ("b", "2"), ("c", "3"), ("d", ""), ("e", "5")]
    assert list(rows) == expected and len(rows) == 5
    assert [rows[place] for place in range(-5, 5)] == expected * 2
    assert rows[1:4] == expected[1:4]
    with pytest.raises(IndexError):
        rows[5]


def test_missing_columns_and_broken_files_are_named(hub: Any, tmp_path: Path) -> None:
    toy(hub)
    folder = fetch(CARD, tmp_path).folder
    other = replace(CARD, columns={"source": "text"})
    with pytest.raises(UsageError, match="no column 'text'; it has id, document, summary"):
        read_split(other, tmp_path, "test")
    (folder / "d/test/0.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(UsageError, match=r"0\.parquet: no readable Parquet file"):
        read_split(CARD, tmp_path, "test")


def test_files_that_were_not_got_say_how_to_get_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="`attnbench data download toy --data-root"):
        paths(CARD, tmp_path, "test")
    with pytest.raises(UsageError, match="--data-root: data set 'toy' needs its files"):
        paths(CARD, None, "test")


ZIPPED = replace(
    CARD,
    format="lines",
    revision="a" * 40,
    files={"train": ("o/train.src.txt", "o/train.tgt.txt")},
    archive="data/all.zip",
)


def zipped(**members: str) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(f"o/{name.replace('_', '.')}.txt", text)
        archive.writestr("../escaped.txt", "no")
    return sink.getvalue()


def test_an_archive_is_unpacked_and_read_line_by_line(hub: Any, tmp_path: Path) -> None:
    serve(hub, ZIPPED, {"data/all.zip": zipped(train_src="a b\nc\n", train_tgt="1\n2\n")})
    folder = fetch(ZIPPED, tmp_path).folder
    rows = read_split(ZIPPED, tmp_path, "train")
    assert list(rows) == [("a b", "1"), ("c", "2")] == rows[:2]
    assert rows[1] == ("c", "2")
    # Only what the card names comes out, and again if it was lost.
    assert not list(tmp_path.rglob("escaped.txt"))
    (folder / "o/train.src.txt").unlink()
    assert fetch(ZIPPED, tmp_path).kept == ("data/all.zip",)
    assert len(read_split(ZIPPED, tmp_path, "train")) == 2


def test_archives_that_lack_files_or_are_none_are_named(hub: Any, tmp_path: Path) -> None:
    serve(hub, ZIPPED, {"data/all.zip": zipped(train_src="a\n")})
    with pytest.raises(UsageError, match=r"all\.zip: the archive lacks .*train\.tgt\.txt"):
        fetch(ZIPPED, tmp_path / "lacks")
    serve(hub, ZIPPED, {"data/all.zip": b"no archive"})
    with pytest.raises(UsageError, match=r"all\.zip: the archive is damaged"):
        fetch(ZIPPED, tmp_path / "none")


def test_lines_must_be_in_parallel(hub: Any, tmp_path: Path) -> None:
    serve(hub, ZIPPED, {"data/all.zip": zipped(train_src="a\nb\n", train_tgt="1\n")})
    fetch(ZIPPED, tmp_path)
    with pytest.raises(UsageError, match=r"tgt\.txt: 1 lines, but train\.src\.txt has 2"):
        read_split(ZIPPED, tmp_path, "train")


def test_json_lines_of_a_card(hub: Any, tmp_path: Path) -> None:
    card = replace(CARD, format="jsonl", files={"test": ("t.jsonl",)})
    serve(hub, card, {"t.jsonl": b'{"summary": "s", "document": "d", "id": 1}\n'})
    fetch(card, tmp_path)
    assert list(read_split(card, tmp_path, "test")) == [("d", "s")]


def test_a_spoilt_record_of_downloads_is_named(tmp_path: Path) -> None:
    folder = CARD.folder(tmp_path)
    folder.mkdir(parents=True)
    (folder / MANIFEST).write_text('{"a": {"bytes": 1}}')
    with pytest.raises(UsageError, match="not a record of downloads"):
        fetch(CARD, tmp_path)


def test_a_branch_that_moves_while_its_files_are_got_is_no_data_set(
    hub: Any, tmp_path: Path
) -> None:
    toy(hub)
    folder = fetch(CARD, tmp_path).folder
    (folder / "d/test/0.parquet").unlink()
    hub.commit = "f" * 40
    with pytest.raises(UsageError, match="'refs/convert/parquet' moved while they were got"):
        fetch(CARD, tmp_path)
    with pytest.raises(UsageError, match="are of 2 commits"):
        read_split(CARD, tmp_path, "test")


def test_another_revision_lies_beside_the_pinned_one_without_its_digests(
    hub: Any, tmp_path: Path
) -> None:
    pinned = replace(CARD, revision="a" * 40, sha256={"d/test/0.parquet": "0" * 64}, size=7)
    assert pinned.at("") is pinned and pinned.at("a" * 40) is pinned
    other = pinned.at("main")
    assert (other.revision, other.sha256, other.size) == ("main", {}, 0)
    bodies = {name: parquet(("a", "1")) for name in other.remote_files()}
    serve(hub, other, bodies)
    fetch(other, tmp_path)
    assert list(read_split(other, tmp_path, "test")) == [("a", "1")]
    assert all((tmp_path / place).is_file() for place in other.places())
    with pytest.raises(UsageError, match="no such file"):
        read_split(pinned, tmp_path, "test")


def test_fields_of_structures_are_columns(hub: Any, tmp_path: Path) -> None:
    card = replace(CARD, files={"test": ("t.parquet",)}, columns={"x": "pair.x", "y": "pair.y"})
    table = pa.table({"id": [1, 2], "pair": [{"x": "a", "y": "b"}, {"x": "c", "y": None}]})
    sink = io.BytesIO()
    pq.write_table(table, sink, row_group_size=1)
    serve(hub, card, {"t.parquet": sink.getvalue()})
    fetch(card, tmp_path)
    rows = read_split(card, tmp_path, "test")
    assert list(rows) == [("a", "b"), ("c", "")] and rows[1] == ("c", "")
    with pytest.raises(UsageError, match=r"no column 'pair\.z'; it has id, pair\.x, pair\.y"):
        read_split(replace(card, columns={"z": "pair.z"}), tmp_path, "test")

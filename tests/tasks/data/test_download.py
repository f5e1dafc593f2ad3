"""Downloads: complete or absent, taken up where they broke, HTTPS only."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path
from typing import Any

import pytest

from bench.errors import UsageError
from tasks.data import download as downloads
from tasks.data.download import download

BODY = bytes(range(256)) * 400


def test_a_file_is_got_whole(hub: Any, tmp_path: Path) -> None:
    hub.files["a"] = BODY
    path = tmp_path / "new" / "a.bin"
    found = download(hub.url("a"), path)
    assert path.read_bytes() == BODY
    assert (found.size, found.sha256) == (len(BODY), hashlib.sha256(BODY).hexdigest())
    assert [entry.name for entry in path.parent.iterdir()] == ["a.bin"]


def test_a_broken_connection_is_taken_up_where_it_broke(hub: Any, tmp_path: Path) -> None:
    hub.files["a"] = BODY
    hub.cut = [1000, 500]
    download(hub.url("a"), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == BODY
    assert [wanted for _, wanted in hub.seen] == [None, "bytes=1000-", "bytes=1500-"]


def test_a_later_call_goes_on_where_the_first_gave_up(hub: Any, tmp_path: Path) -> None:
    hub.files["a"] = BODY
    hub.cut = [10] * downloads.TRIES
    with pytest.raises(UsageError, match=r"bytes arrived.*what has arrived is kept"):
        download(hub.url("a"), tmp_path / "a")
    assert not (tmp_path / "a").exists()
    download(hub.url("a"), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == BODY
    assert hub.seen[-1][1] == f"bytes={10 * downloads.TRIES}-"


def test_a_file_that_changed_meanwhile_is_got_anew(hub: Any, tmp_path: Path) -> None:
    hub.files["a"] = BODY
    hub.cut = [10] * downloads.TRIES
    with pytest.raises(UsageError):
        download(hub.url("a"), tmp_path / "a")
    hub.files["a"], hub.etag = b"other", '"two"'
    download(hub.url("a"), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"other"


def test_what_is_longer_than_the_file_is_got_anew(hub: Any, tmp_path: Path) -> None:
    hub.files["a"] = b"short"
    (tmp_path / "a.part").write_bytes(BODY)
    (tmp_path / "a.part.etag").write_text('"one"')
    download(hub.url("a"), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"short"


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_without_a_strong_tag_nothing_is_resumed(
    hub: Any, tmp_path: Path, etag: str | None
) -> None:
    hub.files["a"], hub.etag, hub.cut = BODY, etag, [1000]
    download(hub.url("a"), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == BODY
    assert [wanted for _, wanted in hub.seen] == [None, None]


def test_a_busy_server_is_asked_again(hub: Any, tmp_path: Path) -> None:
    hub.files["a"], hub.refuse = BODY, [503, 429]
    download(hub.url("a"), tmp_path / "a")
    assert len(hub.seen) == 3
    hub.refuse = [500] * downloads.TRIES
    with pytest.raises(UsageError, match=r"download failed \(HTTP 500\)"):
        download(hub.url("a"), tmp_path / "b")


def test_missing_and_refused_files_are_named_at_once(hub: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"/none: not found; the data set may have moved"):
        download(hub.url("none"), tmp_path / "a")
    hub.refuse = [403]
    with pytest.raises(UsageError, match=r"refused \(HTTP 403"):
        download(hub.url("a"), tmp_path / "a")
    assert len(hub.seen) == 2


def test_other_contents_than_published_are_refused(hub: Any, tmp_path: Path) -> None:
    hub.files["a"] = BODY
    with pytest.raises(UsageError, match="the contents are not what was published"):
        download(hub.url("a"), tmp_path / "a", sha256="0" * 64)
    assert list(tmp_path.iterdir()) == []
    digest = hashlib.sha256(BODY).hexdigest()
    assert download(hub.url("a"), tmp_path / "a", sha256=digest.upper()).sha256 == digest


@pytest.mark.parametrize("url", ["http://example.org/a", "ftp://127.0.0.1/a", "file:///etc/hosts"])
def test_only_https_is_spoken_beyond_this_machine(url: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="addresses are refused; use https"):
        download(url, tmp_path / "a")


def test_redirects_to_plain_http_are_refused(hub: Any, tmp_path: Path) -> None:
    hub.redirects["a"] = "http://example.org/a"
    with pytest.raises(UsageError, match="'http' addresses are refused"):
        download(hub.url("a"), tmp_path / "a")


def test_no_server_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "_PAUSE_SECONDS", 0.0)
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(UsageError, match=r"download failed \(.*refused.*\); check the network"):
        download("http://127.0.0.1:9/a", tmp_path / "a")


def test_a_folder_that_cannot_be_written_is_named(hub: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"file/a: cannot be written"):
        download(hub.url("a"), tmp_path / "file" / "a")


def test_md5_where_nothing_better_is_published(hub: Any, tmp_path: Path) -> None:
    hub.files["a"] = BODY
    with pytest.raises(UsageError, match=r"not what was published \(md5 "):
        download(hub.url("a"), tmp_path / "a", md5="0" * 32)
    assert list(tmp_path.iterdir()) == []
    download(hub.url("a"), tmp_path / "a", md5=hashlib.md5(BODY).hexdigest())
    assert (tmp_path / "a").read_bytes() == BODY


def test_what_does_not_fit_is_not_begun(
    hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files["a"] = BODY
    usage = downloads.shutil.disk_usage(tmp_path)._replace(free=len(BODY) - 1)
    monkeypatch.setattr(downloads.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(UsageError, match=r"102,400 bytes are needed, 102,399 are free"):
        download(hub.url("a"), tmp_path / "a")
    assert not (tmp_path / "a.part").exists()


def test_a_disk_that_fills_up_leaves_what_can_be_resumed(
    hub: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.files["a"] = BODY

    def full(reply: Any, file: Any) -> None:
        file.write(reply.read(1000))
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(downloads, "_copy", full)
        with pytest.raises(UsageError, match=r"a: cannot be written .No space left"):
            download(hub.url("a"), tmp_path / "a")
    assert not (tmp_path / "a").exists()
    download(hub.url("a"), tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == BODY
    assert hub.seen[-1][1] == "bytes=1000-"

"""Prepared data on disk: built once, whole or not at all, whoever asks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest

from bench.errors import UsageError
from tasks.data.cache import cached, digest, digest_texts, file_digest

CONTENT = "x" * 100_000


def _slow_build(path: Path) -> None:
    with (path.parent / "builds.log").open("a") as log:
        log.write("built\n")
    with path.open("w") as file:
        for part in range(10):
            file.write(CONTENT[part::10])
            time.sleep(0.02)


def _ask(folder: Path) -> None:
    path = cached(folder, "abc", _slow_build, suffix=".txt")
    assert path.stat().st_size == len(CONTENT)


def _hang(path: Path) -> None:
    (path.parent / "hanging").touch()
    time.sleep(60)


def _ask_and_hang(folder: Path) -> None:
    cached(folder, "abc", _hang, suffix=".txt")


def test_processes_that_start_at_once_share_one_build(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_ask, args=(tmp_path,)) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * 4
    assert (tmp_path / "builds.log").read_text().count("built") == 1
    assert [path.name for path in tmp_path.glob("*.txt")] == ["abc.txt"]


def test_a_killed_builder_blocks_nobody_and_leaves_no_half_file(tmp_path: Path) -> None:
    worker = multiprocessing.get_context("spawn").Process(target=_ask_and_hang, args=(tmp_path,))
    worker.start()
    limit = time.monotonic() + 30
    while not (tmp_path / "hanging").exists():
        assert time.monotonic() < limit
        time.sleep(0.01)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGKILL)
    worker.join(30)
    assert not (tmp_path / "abc.txt").exists()
    _ask(tmp_path)
    assert [path.name for path in tmp_path.glob(".*.tmp*")] == []


def test_a_failing_build_leaves_nothing_and_is_tried_again(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError):
        cached(tmp_path, "abc", fail)
    assert [path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")] == []
    assert cached(tmp_path, "abc", lambda path: path.write_text("whole") and None).read_text() == (
        "whole"
    )


def test_what_is_there_is_not_built_again(tmp_path: Path) -> None:
    cached(tmp_path, "abc", lambda path: path.write_text("first") and None)
    again = cached(tmp_path, "abc", lambda path: path.write_text("second") and None)
    assert again.read_text() == "first"


def test_a_folder_that_cannot_be_made_is_a_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write prepared data") as caught:
        cached(tmp_path / "file" / "cache", "abc", lambda path: None)
    assert "\n" not in str(caught.value)


def test_digests_tell_texts_apart_by_content_border_and_order() -> None:
    variants = [["ab", "c"], ["a", "bc"], ["c", "ab"], ["abc"], ["ab", "c", ""], []]
    assert len({digest_texts(texts) for texts in variants}) == len(variants)
    assert digest_texts(iter(["ä", "b"])) == digest_texts(["ä", "b"])


def test_digest_ignores_the_order_of_keys_alone() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1})
    assert digest(1, 2) != digest(2, 1)
    assert digest("1") != digest(1)


def test_a_file_is_known_by_its_content_and_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for path in (one, other):
        path.write_text("same")
    assert file_digest(one) == file_digest(other)
    time.sleep(1.1)  # until then it may change unnoticed, and is not remembered
    digest, times = file_digest(one), one.stat()

    def fail(*arguments: object) -> None:
        raise AssertionError("read again")

    with monkeypatch.context() as patched:
        patched.setattr("hashlib.file_digest", fail)
        assert file_digest(one) == digest
    # Written over, and by another file in its place: size and time are as they were.
    for replace in (one.write_text, lambda text: other.write_text(text) and other.replace(one)):
        replace("then" if replace == one.write_text else "when")
        os.utime(one, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert one.stat().st_mtime_ns == times.st_mtime_ns
        assert file_digest(one) != digest
        digest = file_digest(one)
    with pytest.raises(UsageError, match="gone: cannot be read"):
        file_digest(tmp_path / "gone")

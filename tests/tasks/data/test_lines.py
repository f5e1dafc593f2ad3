"""Lines of text files: exactly those the file has, and one line of explanation where it has
none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.errors import UsageError
from tasks.data import lines as module
from tasks.data.lines import TextLines


@given(
    st.lists(st.text(st.characters(exclude_characters="\n\r\ufeff\0", codec="utf-8"), max_size=9))
)
@settings(max_examples=100, deadline=None)
def test_lines_come_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "lines.txt"
    path.write_bytes("".join(f"{text}\n" for text in [*texts, "end"]).encode())
    lines = TextLines(path)
    assert list(lines) == [*texts, "end"]
    assert [lines[place] for place in range(len(lines))] == [*texts, "end"]
    assert lines[-1] == "end" and lines[:2] == [*texts, "end"][:2]


def test_the_last_line_needs_no_end(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"one\ntwo")
    assert list(TextLines(path)) == ["one", "two"]
    path.write_bytes(b"\n")
    assert list(TextLines(path)) == [""]


def test_windows_line_ends_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("\ufeffeins\r\nzwei\u2028drei\r\n".encode())
    lines = TextLines(path)
    assert list(lines) == ["eins", "zwei\u2028drei"]
    assert lines[0] == "eins"


def test_chunks_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [f"{'ä' * (number % 7)} {number}" for number in range(50)]
    path = tmp_path / "a.txt"
    path.write_text("\n".join(texts) + "\n", "utf-8")
    for chunk in (1, 7, 64):
        monkeypatch.setattr(module, "CHUNK", chunk)
        assert list(TextLines(path)) == texts


@pytest.mark.parametrize("chunk", [1, 5, 1 << 20])
def test_bytes_that_are_not_utf8_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(module, "CHUNK", chunk)
    path = tmp_path / "a.txt"
    path.write_bytes("fine\ngr\u00fcn\n".encode() + "a gr\u00fcn\nfine\n".encode("latin-1"))
    said = f"{path}:3: not UTF-8 (byte 0xfc at position 5 of the line)"
    with pytest.raises(UsageError) as caught:
        list(TextLines(path))
    assert str(caught.value).startswith(said)
    [error] = TextLines(path).problems()
    assert str(error).startswith(said)


def test_missing_empty_and_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    for name, reason in (("none", "no such file"), ("empty", "is empty"), ("", "is a folder")):
        with pytest.raises(UsageError, match=reason) as caught:
            TextLines(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value) and "\n" not in str(caught.value)

"""Writing into a folder again: what is old goes, what is the user's stays."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import pytest

from bench.errors import UsageError
from reports.output_folder import write_files

Files = Mapping[str, str | bytes]
OLD: Files = {
    "index.html": "old",
    "a.html": "a",
    "b.html": "b",
    "tables/a.csv": "1",
    "plots/x.svg": b"x",
}
NEW: Files = {"index.html": "new", "a.html": "a", "tables/b.csv": "2"}
MANIFEST = ".attnbench-report.json"


def names(folder: Path) -> set[str]:
    found = {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_file()}
    return found - {MANIFEST}


def written(folder: Path, files: Files, what: str = "report") -> list[Path]:
    return write_files(folder, files.items(), what)


def test_what_the_new_report_has_not_is_removed(tmp_path: Path) -> None:
    assert written(tmp_path, OLD) == [tmp_path / name for name in OLD]
    assert names(tmp_path) == OLD.keys()
    written(tmp_path, NEW)
    assert names(tmp_path) == NEW.keys()
    assert (tmp_path / "index.html").read_text() == "new"
    assert not (tmp_path / "plots").exists(), "no empty folder is left"


def test_files_of_the_user_stay(tmp_path: Path) -> None:
    (tmp_path / "tables").mkdir()
    mine = {"notes.txt": "mine", "tables/mine.csv": "3", "c.html": "c"}
    for name, text in mine.items():
        (tmp_path / name).write_text(text)
    written(tmp_path, OLD)
    (tmp_path / "b.html").write_text("written anew by the user")
    (tmp_path / "plots" / "mine.svg").write_text("mine")
    written(tmp_path, NEW)
    kept = {*mine, "b.html", "plots/mine.svg"}
    assert names(tmp_path) == {*NEW, *kept}
    assert all((tmp_path / name).read_text() == text for name, text in mine.items())
    written(tmp_path, {"index.html": "newest"})
    assert names(tmp_path) == {"index.html"} | kept, "they are not taken over later either"


def test_a_link_of_the_user_is_not_followed(tmp_path: Path) -> None:
    written(tmp_path / "out", OLD)
    (tmp_path / "elsewhere.html").write_text("b")
    (tmp_path / "out" / "b.html").unlink()
    (tmp_path / "out" / "b.html").symlink_to(tmp_path / "elsewhere.html")
    written(tmp_path / "out", NEW)
    assert (tmp_path / "elsewhere.html").read_text() == "b"
    assert (tmp_path / "out" / "b.html").is_symlink()


def test_other_commands_own_files_stay(tmp_path: Path) -> None:
    written(tmp_path, OLD)
    written(tmp_path, {"tables/compare.csv": "4"}, "comparison")
    assert set(OLD) < names(tmp_path)
    written(tmp_path, NEW)
    assert "tables/compare.csv" in names(tmp_path)


def test_contents_that_cannot_be_made_leave_everything_as_it_was(tmp_path: Path) -> None:
    def broken() -> Iterator[tuple[str, str]]:
        yield "index.html", "new"
        raise RuntimeError("a drawing fails")

    written(tmp_path, OLD)
    with pytest.raises(RuntimeError):
        write_files(tmp_path, broken(), "report")
    assert names(tmp_path) == OLD.keys()
    assert (tmp_path / "index.html").read_text() == "old"


@pytest.mark.parametrize("writes", range(1, len(NEW) + 2))
def test_a_report_that_ends_half_way_is_whole_and_cleared_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int
) -> None:
    written(tmp_path, OLD)
    replace = Path.replace
    done: list[Path] = []

    def full(draft: Path, target: Path) -> Path:
        if len(done) == writes:
            raise OSError(28, "No space left on device")
        done.append(target)
        return replace(draft, target)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", full)
        with pytest.raises(UsageError, match="no space left"):
            written(tmp_path, {**NEW, "c.html": "c"})
    assert (tmp_path / "index.html").read_text() == "old", "the first page comes last"
    assert set(OLD) <= names(tmp_path), "whatever it links to is there"
    assert names(tmp_path) <= {*OLD, *NEW, "c.html"}, "and no draft"
    written(tmp_path, NEW)
    assert names(tmp_path) == NEW.keys()


@pytest.mark.parametrize(
    "listed",
    [
        "{",
        "[]",
        '{"a.html": 3}',
        json.dumps({"../mine.txt": ["MINE"]}),
        json.dumps({"/absolute": ["MINE"]}),
    ],
)
def test_a_list_from_elsewhere_removes_nothing_outside(tmp_path: Path, listed: str) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    out = tmp_path / "out"
    out.mkdir()
    text = listed.replace("/absolute", str(tmp_path / "mine.txt"))
    (out / MANIFEST).write_text(text.replace("MINE", sha256(b"mine").hexdigest()))
    written(out, NEW)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    assert names(out) == NEW.keys()

"""Rows of TSV and JSON-lines files, and what is said of those that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.errors import UsageError
from tasks.data.lines import read_lines
from tasks.data.problems import Problem, collect
from tasks.data.readers import Row, read_json, read_json_lines, read_rows, read_table, split_name


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_lines_end_at_line_ends_only(tmp_path: Path) -> None:
    path = write(tmp_path / "t", "\ufeffa\u2028b\r\nc\x0cd\ne".encode())
    assert list(read_lines(path)) == [(1, "a\u2028b"), (2, "c\x0cd"), (3, "e")]


def test_tsv_keeps_quotes_and_skips_blank_lines(tmp_path: Path) -> None:
    path = write(tmp_path / "t.tsv", b'a\tb\n"x\ty"\n\n1\t\n')
    rows = list(read_rows(path))
    assert [dict(row.values) for row in rows] == [{"a": '"x', "b": 'y"'}, {"a": "1", "b": ""}]
    assert rows[1].where == f"{path}:4"


def test_json_lines_by_ending(tmp_path: Path) -> None:
    path = write(tmp_path / "t.NDJSON", b'\n{"a": 1}\n')
    [row] = read_rows(path)
    assert (row.line, row.text("a")) == (2, "1")


@pytest.mark.parametrize(
    ("value", "kind"), [(None, "NoneType"), (True, "bool"), (["x"], "list"), ({}, "dict")]
)
def test_what_is_no_text_is_refused(tmp_path: Path, value: object, kind: str) -> None:
    with pytest.raises(UsageError, match=f"f:3: column 'a': expected text, got {kind}"):
        Row(Path("f"), 3, {"a": value}).text("a")


def test_a_missing_column_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="f:3: no column 'a'; it has b, c"):
        Row(Path("f"), 3, {"b": "", "c": ""}).text("a")


@pytest.mark.parametrize("data", [b"", b"\n", b"\xef\xbb\xbf\n"])
def test_empty_files_are_refused(tmp_path: Path, data: bytes) -> None:
    path = write(tmp_path / "t", data)
    for read in (read_table, read_json_lines):
        with pytest.raises(UsageError, match="the file is empty"):
            list(read(path))
    with pytest.raises(UsageError, match="the file is empty"):
        read_json(path)


def test_problems_are_gathered_line_by_line(tmp_path: Path) -> None:
    path = write(tmp_path / "t.tsv", b"a\tb\n1\n1\t2\n\xff\t2\n1\t2\t3\n")
    problems: list[Problem] = []
    assert [row.line for row in read_table(path, collect(problems))] == [3]
    assert [problem.where.split(":")[1] for problem in problems] == ["2", "4", "5"]
    path = write(tmp_path / "t.jsonl", b'{"a": 1}\n{"a": \n[]\n{"a": 2}\n')
    problems = []
    assert [row.line for row in read_json_lines(path, collect(problems))] == [1, 4]
    assert [problem.where.split(":")[1] for problem in problems] == ["2", "3"]


def test_json_files_name_the_line(tmp_path: Path) -> None:
    path = write(tmp_path / "t.json", b'[\n{"a": 1},\n{"a" 2}]')
    with pytest.raises(UsageError, match=r"t\.json:3: not JSON"):
        read_json(path)
    with pytest.raises(UsageError, match=r"none\.json: no such file; check"):
        read_json(tmp_path / "none.json")
    with pytest.raises(UsageError, match="is a folder, not a text file"):
        read_json(tmp_path)


@pytest.mark.parametrize(
    ("name", "split"),
    [("Train ", "train"), ("restval", "train"), ("dev", "validation"), ("TESTING", "test")],
)
def test_names_of_splits(name: str, split: str) -> None:
    assert split_name(name, "f:2") == split == split_name(name, "f:2", further=True)


@pytest.mark.parametrize("name", ["test-noisy", "test_clean", "test2", "long"])
def test_names_of_further_test_sets(name: str) -> None:
    assert split_name(name, "f:2", further=True) == name
    with pytest.raises(UsageError, match="f:2: unknown split"):
        split_name(name, "f:2")


@pytest.mark.parametrize("name", ["tset", "tests", "", "train\u200b", "noisy", "x" * 100_000])
def test_names_that_mean_no_split(name: str) -> None:
    with pytest.raises(UsageError, match=r"f:2: unknown split .*known: dev, restval") as caught:
        split_name(name, "f:2", further=True)
    assert len(str(caught.value)) < 500


def test_a_column_that_no_object_has_is_one_problem(tmp_path: Path) -> None:
    path = write(tmp_path / "t.jsonl", b'{"A": 1}\n{"b": 1}\n' * 1000)
    with pytest.raises(UsageError, match=r"t\.jsonl:1: no column 'a'; did you mean 'A'\?"):
        list(read_json_lines(path, columns=["a"]))
    problems: list[Problem] = []
    rows = read_json_lines(path, collect(problems), columns=["A"])
    assert (len(list(rows)), len(problems)) == (1000, 1)

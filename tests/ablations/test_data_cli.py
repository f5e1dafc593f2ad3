from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import cli


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATTNBENCH_DATA", raising=False)


def lines(folder: Path, name: str, count: int) -> None:
    for ending in ("src", "tgt"):
        (folder / f"{name}.{ending}").write_text("".join(f"word{n} b\n" for n in range(count)))


def test_data_sets_with_licence_and_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["data", "list", "--task", "translation", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["probe"]["found"] == "embedded"
    assert "--data-root" in rows["multi30k"]["found"]
    assert rows["multi30k"]["citation"]

    for name in ("train", "valid", "test"):
        lines(tmp_path, name, 5)
    command = ["data", "list", "--task", "translation", "--data-root", str(tmp_path)]
    assert cli.main([*command, "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["parallel"]["found"] == f"in {tmp_path}"
    assert rows["multi30k"]["found"].startswith("not usable: ")

    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert "translation/multi30k: " in printed
    assert "  licence: " in printed


def test_good_data_is_said_to_be_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("train", "valid", "test"):
        lines(tmp_path, name, 5)
    command = ["data", "check", "--task", "translation", "--dataset", "parallel"]
    assert cli.main([*command, "--data-root", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "translation/parallel: can be used\n"


def test_every_problem_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("train", "valid", "eval"):
        lines(tmp_path, name, 5)
    (tmp_path / "train.src").write_bytes(b"a\n\xff\nc\n")
    (tmp_path / "valid.tgt").write_text("one\n")
    command = ["data", "check", "--task", "translation", "--dataset", "parallel"]
    assert cli.main([*command, "--set", "test=eval", "--data-root", str(tmp_path)]) == 1
    printed = capsys.readouterr().out
    assert "train.src" in printed
    assert "valid" in printed
    assert "eval" not in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["data"], "ACTION"),
        (["data", "chek"], "invalid choice: 'chek'"),
        (["data", "list", "--task", "translatoin"], "did you mean 'translation'?"),
        (["data", "check", "--task", "translation", "--dataset", "x"], "unknown data set 'x'"),
    ],
)
def test_mistakes(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1

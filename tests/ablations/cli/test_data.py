from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.cli import main as cli


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ATTNBENCH_DATA", raising=False)


def lines(folder: Path, name: str, count: int) -> None:
    for ending in ("src", "tgt"):
        (folder / f"{name}.{ending}").write_text(
            "".join(f"{name[:4]}{n} b\n" for n in range(count))
        )


def test_data_sets_with_licence_and_place(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["data", "list", "--task", "translation", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["synthetic"]["found"] == "embedded" and rows["synthetic"]["present"]
    assert (
        "`attnbench data download multi30k --data-root DIR` (1.9 MB)" in rows["multi30k"]["found"]
    )
    assert rows["multi30k"]["citation"] and rows["multi30k"]["gold_alignments"]
    assert rows["multi30k"]["present"] is None and rows["parallel"]["download"] is None

    for name in ("train", "valid", "test"):
        lines(tmp_path, name, 5)
    command = ["data", "list", "--task", "translation", "--data-root", str(tmp_path)]
    assert cli.main([*command, "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["parallel"]["found"].startswith(f"{tmp_path / 'train.src'} (40 bytes)")
    assert rows["parallel"]["present"] and rows["parallel"]["bytes"] == 40
    assert rows["multi30k"]["present"] is False and rows["multi30k"]["bytes"] is None
    assert rows["multi30k"]["download"]["bytes"] > 1e6

    assert cli.main(command) == 0
    printed = capsys.readouterr().out
    assert "translation/multi30k: " in printed
    assert "  licence: " in printed


CHECK = ["data", "check", "parallel"]


def test_good_data_is_said_to_be_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("train", "valid", "test"):
        lines(tmp_path, name, 5)
    for command in (
        [*CHECK, str(tmp_path)],
        [*CHECK, "--data-root", str(tmp_path)],
        ["data", "check", "--task", "translation", "--dataset", "parallel", "--data-root",
         str(tmp_path)],
    ):  # fmt: skip
        assert cli.main(command) == 0
        assert capsys.readouterr().out == (
            "translation/parallel: can be used (train 5, validation 5, test 5)\n"
        )


def test_an_empty_option_is_an_empty_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines(tmp_path, "train", 80)
    assert cli.main([*CHECK, str(tmp_path), "--set", "valid=", "--set", "test="]) == 0
    assert "pairs split off the training" in capsys.readouterr().out


def test_every_problem_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("train", "valid", "eval"):
        lines(tmp_path, name, 5)
    (tmp_path / "train.src").write_bytes(b"a\n\xff\nc\n")
    (tmp_path / "valid.tgt").write_text("one\n")
    assert cli.main([*CHECK, str(tmp_path), "--set", "test=eval"]) == 2
    captured = capsys.readouterr()
    assert "train.src:2: not UTF-8" in captured.out and "valid.src: 5 lines" in captured.out
    assert "eval" not in captured.out
    assert captured.err == (
        "attnbench: error: translation/parallel: 2 problems; fix the problems above and re-run\n"
    )


def test_all_problems_are_counted_and_the_first_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("train", "valid", "test"):
        lines(tmp_path, name, 50)
    (tmp_path / "train.tgt").write_text("\n" * 50)
    assert cli.main([*CHECK, str(tmp_path)]) == 2
    captured = capsys.readouterr()
    assert captured.out.count("\n") == 21
    assert captured.out.endswith("and 30 more; --max-problems 0 lists all\n")
    assert "50 problems" in captured.err
    assert cli.main([*CHECK, str(tmp_path), "--max-problems", "0"]) == 2
    assert capsys.readouterr().out.count("\n") == 50
    # Several folders are looked at one after the other.
    lines(tmp_path, "train", 50)
    (tmp_path / "other").mkdir()
    assert cli.main([*CHECK, str(tmp_path), str(tmp_path / "other")]) == 2
    captured = capsys.readouterr()
    assert "can be used" in captured.out and "other/train.src: no such file" in captured.out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["data"], "ACTION"),
        (["data", "chek"], "invalid choice: 'chek'"),
        (["data", "list", "--task", "translatoin"], "did you mean 'translation'?"),
        (["data", "check", "--task", "translation", "--dataset", "x"], "unknown data set 'x'"),
        (["data", "check"], "missing data set name"),
        (["data", "check", "parallel", "/nowhere"], "/nowhere: no such folder"),
        (["data", "check", "parallel", __file__], "is a file; name its folder"),
        (["data", "check", "parallel", "--max-problems", "-1"], "--max-problems"),
    ],
)
def test_mistakes(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert captured.err.count("\n") == 1

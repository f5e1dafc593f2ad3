"""What users' files can be like, from end to end: one line that says what, where and what would do,
status 2, nothing stored."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import soundfile
from own_data import OWN, write_tone

from bench.cli import main as cli

TASKS = sorted(OWN)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ATTNBENCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    monkeypatch.setenv("WANDB_MODE", "offline")


def own(task: str, folder: Path) -> Path:
    """A good data set; the root that holds it."""
    root = folder / "data"
    root.mkdir()
    OWN[task].write(root)
    return root


def refused(
    task: str, root: Path, folder: Path, capsys: pytest.CaptureFixture[str], *more: str
) -> str:
    """The line that a run on these files ends with."""
    store = folder / "store"
    command = [*OWN[task].command(task, root), *more, "--store", str(store)]
    capsys.readouterr()
    status = cli.main(command)
    captured = capsys.readouterr()
    assert status == 2, captured
    assert captured.out == ""
    assert captured.err.startswith("attnbench: error: ") and captured.err.count("\n") == 1
    assert "Traceback" not in captured.err
    assert not list(store.glob("trials/*"))
    return captured.err


def problems(task: str, root: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What `data check` lists."""
    given = [part for option in OWN[task].options for part in ("--set", option)]
    assert cli.main(["data", "check", OWN[task].dataset, str(root), *given]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith(f"attnbench: error: {task}/{OWN[task].dataset}: ")
    assert captured.err.count("\n") == 1
    return captured.out.splitlines()


@pytest.mark.parametrize("task", TASKS)
def test_good_files_are_used(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = own(task, tmp_path)
    command = OWN[task].command(task, root)
    assert cli.main([*command, "--set", "max_steps=2", "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert record["status"] == "done"


Spoil = Callable[[Path], Any]

#: What can be wrong with any task's main file, and what must be said of it.
ANY: dict[str, tuple[Spoil, str]] = {
    "missing": (Path.unlink, "no "),
    "empty": (lambda path: path.write_bytes(b""), "empty"),
    "blank": (lambda path: path.write_bytes(b"\n\n\n"), ""),
    "encoding": (lambda path: path.write_bytes(path.read_bytes() + b"gr\xfcn\n"), "not UTF-8"),
    "utf-16": (lambda path: path.write_text(path.read_text("utf-8"), "utf-16"), "not UTF-8"),
    "binary": (lambda path: path.write_bytes(bytes(range(256)) * 20), ""),
    "folder": (lambda path: (path.unlink(), path.mkdir()), "folder"),
}


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("spoil", ANY)
def test_a_main_file_that_cannot_be_used(
    task: str, spoil: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = own(task, tmp_path)
    spoiler, said = ANY[spoil]
    spoiler(root / OWN[task].main)
    error = refused(task, root, tmp_path, capsys)
    assert str(root) in error and said in error.lower().replace("utf", "UTF")
    assert problems(task, root, capsys)


@pytest.mark.parametrize("task", TASKS)
def test_a_root_that_is_none(task: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no such folder" in refused(task, tmp_path / "nowhere", tmp_path, capsys)
    (tmp_path / "file").write_text("x")
    assert "--data-root" in refused(task, tmp_path / "file", tmp_path, capsys)
    (tmp_path / "empty").mkdir()
    assert "no " in refused(task, tmp_path / "empty", tmp_path, capsys)


def keep_lines(name: str, wanted: Callable[[str], bool]) -> Spoil:
    """Keeps a file's header and those of its lines."""

    def spoil(root: Path) -> None:
        header, *lines = (root / name).read_text("utf-8").splitlines(keepends=True)
        (root / name).write_text(header + "".join(filter(wanted, lines)), "utf-8")

    return spoil


def replace(name: str, old: str, new: str, count: int = -1) -> Spoil:
    def spoil(root: Path) -> None:
        text = (root / name).read_text("utf-8")
        assert old in text
        (root / name).write_text(text.replace(old, new, count), "utf-8")

    return spoil


def cut(name: str, size: int) -> Spoil:
    def spoil(root: Path) -> None:
        content = (root / name).read_bytes()
        assert len(content) > size
        (root / name).write_bytes(content[:size])

    return spoil


def write(name: str, text: str) -> Spoil:
    return lambda root: (root / name).write_text(text, "utf-8")


def lose(*names: str) -> Spoil:
    return lambda root: [(root / name).unlink() for name in names]


def into_folder(name: str) -> Spoil:
    def spoil(root: Path) -> None:
        (root / name).unlink()
        (root / name).mkdir()

    return spoil


#: What is wrong, and what a run and a check must say of it.
CASES: dict[str, list[tuple[str, Spoil, str]]] = {
    "translation": [
        ("empty training split", write("train.de", "\n" * 40), "blank"),
        ("a line too many", replace("train.en", "a house 3 .", "a\nhouse"), "40 lines, but"),
        ("no translation", replace("train.en", "a house 3 .", ""), "train.en:4: the line is blank"),
        ("a missing side", lose("valid.en"), "valid.en: no such file"),
        ("a folder for a side", into_folder("test.en"), "test.en: is a folder"),
    ],
    "captioning": [
        ("text for a picture", write("3.png", "no picture"), "3.png: cannot be read as a picture"),
        ("a truncated picture", cut("3.png", 60), "3.png: cannot be read as a picture"),
        ("an empty picture", write("3.png", ""), "3.png: cannot be read as a picture"),
        ("a folder for a picture", into_folder("3.png"), "no picture '3.png'"),
        ("captions without pictures", lose("3.png", "5.png"), "no picture '3.png'"),
        (
            "an empty training split",
            write("captions.tsv", "image\tcaption\tsplit\n0.png\ta\tval\n1.png\tb\ttest\n"),
            "no picture for the train split",
        ),
        ("an unknown split", write("captions.tsv", "image\tcaption\tsplit\n0.png\ta\ttrian\n"),
         "unknown split 'trian'; did you mean 'train'?"),
        ("a caption without words", replace("captions.tsv", "something red", " . ", 1),
         "captions.tsv:3: the caption of '0.png' has no words"),
        ("a missing column", replace("captions.tsv", "caption", "text"), "no column 'caption'"),
        ("a line cut short", replace("captions.tsv", "\tsomething red", "", 1), "captions.tsv:3: "),
    ],
    "entailment": [
        ("an unknown label", replace("train.tsv", "neutral", "maybe", 1),
         "train.tsv:3: unknown label 'maybe'"),
        ("an empty sentence", replace("train.tsv", "a dog number 4 runs", " "), "train.tsv:6: "),
        ("an empty training split", keep_lines("train.tsv", lambda line: False), "empty"),
        ("only pairs without a label",
         write("train.tsv", "premise\thypothesis\tlabel\na\tb\t-\n"), "gold label"),
        ("no test file", lose("test.tsv"), "test.tsv: "),
        ("a missing column", replace("train.tsv", "premise", "text"), "no column 'premise'"),
        ("a line cut short", replace("train.tsv", "\tneutral", "", 1), "train.tsv:3: 2 fields"),
        ("one premise only",
         write("train.tsv", "premise\thypothesis\tlabel\na\tb\tneutral\n"),
         "two different premises"),
    ],
    "speech": [
        ("text for a sound", write("clips/1.wav", "no sound"), "1.wav: not a sound file"),
        ("a truncated sound", cut("clips/1.wav", 2000), "1.wav: the file is truncated"),
        ("an empty sound", write("clips/1.wav", ""), "1.wav: not a sound file"),
        ("missing sounds", lose(*(f"clips/{n}.wav" for n in (4, 1, 8))), "1.wav is missing"),
        ("a folder for a sound", into_folder("clips/1.wav"), "1.wav is missing"),
        ("an empty transcript", replace("manifest.tsv", "a tone b", "  ", 1),
         "manifest.tsv:3: the transcript is empty"),
        ("an empty training split",
         keep_lines("manifest.tsv", lambda line: "\ttrain" not in line), "train"),
        ("a missing column", replace("manifest.tsv", "transcript", "text"), "'transcript'"),
        ("a line cut short", replace("manifest.tsv", "\ttrain", "", 1), "manifest.tsv:2: 2 fields"),
    ],
    "summarization": [
        ("empty documents only",
         write("train.jsonl", '{"document": " ", "summary": "a"}\n' * 3),
         "train.jsonl: no document"),
        ("a missing field", replace("train.jsonl", '"summary"', '"title"', 1),
         "train.jsonl:1: no column 'summary'"),
        ("no JSON", replace("train.jsonl", '{"document"', '{document', 1),
         "train.jsonl:1: not JSON"),
        ("a list for a text", replace("train.jsonl", '"bridge 2"', '["bridge 2"]', 1),
         "train.jsonl:3: column 'summary': expected text, got list"),
        ("no test file", lose("test.jsonl"), "test.jsonl: "),
        ("one document only",
         write("train.jsonl", '{"document": "a b", "summary": "a"}\n'), "needs two documents"),
    ],
}  # fmt: skip


@pytest.mark.parametrize(
    ("task", "spoil", "said"),
    [
        pytest.param(task, spoil, said, id=f"{task}-{name.replace(' ', '-')}")
        for task, cases in CASES.items()
        for name, spoil, said in cases
    ],
)
def test_files_that_cannot_be_used(
    task: str, spoil: Spoil, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = own(task, tmp_path)
    spoil(root)
    error = refused(task, root, tmp_path, capsys)
    assert said in error, error
    found = problems(task, root, capsys)
    assert any(said in line for line in found), found
    assert str(root) in found[0]


def test_all_missing_sounds_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = own("speech", tmp_path)
    shutil.rmtree(root / "clips")
    error = refused("speech", root, tmp_path, capsys)
    assert "0.wav is missing" in error and "and 12 more" in error  # the parts are empty, too
    assert sum("is missing" in line for line in problems("speech", root, capsys)) == 12


def test_all_captions_without_pictures_are_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = own("captioning", tmp_path)
    lose(*(f"{number}.png" for number in range(2, 9)))(root)
    error = refused("captioning", root, tmp_path, capsys)
    assert "no picture '2.png'" in error and "and 6 more" in error
    assert sum("no picture" in line for line in problems("captioning", root, capsys)) == 7


def test_other_sampling_rates_are_resampled_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = own("speech", tmp_path)
    write_tone(root / "clips/1.wav", 300.0, rate=8000)
    write_tone(root / "clips/2.wav", 300.0, rate=44100)
    assert soundfile.info(root / "clips/1.wav").samplerate == 8000
    assert cli.main(["data", "check", "manifest", str(root)]) == 0
    noted = capsys.readouterr().out
    command = [*OWN["speech"].command("speech", root), "--set", "max_steps=2", "--json"]
    assert cli.main(command) == 0
    notes = json.loads(capsys.readouterr().out)["provenance"]["notes"]
    for note in (
        "1 sound files of 8000 Hz were resampled to 16000 Hz",
        "1 sound files of 44100 Hz were resampled to 16000 Hz",
    ):
        assert note in notes and note in noted


def test_empty_documents_are_left_out_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = own("summarization", tmp_path)
    with (root / "train.jsonl").open("a") as file:
        file.write('{"document": "", "summary": "a"}\n{"document": "a", "summary": " "}\n')
    assert cli.main(["data", "check", "jsonl", str(root)]) == 0
    assert "2 documents without source or summary left out" in capsys.readouterr().out


def test_pairs_without_a_gold_label_are_dropped_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = own("entailment", tmp_path)
    replace("train.tsv", "neutral", "-", 2)(root)
    assert cli.main(["data", "check", "tabular", str(root)]) == 0
    assert "2 pairs without a gold label ('-') dropped" in capsys.readouterr().out

"""`attnbench export` from the command line, in every format."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import pytest
from exported import CELLS, FAILED, SENTENCE, fill

from bench.cli.main import main
from bench.errors import UsageError
from bench.store.store import Store
from reports.cli import export
from reports.exchange import FORMATS


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return fill(tmp_path_factory.mktemp("store"))


def run(*words: str) -> int:
    parser = argparse.ArgumentParser()
    export.add_arguments(parser)
    return export.run(parser.parse_args(words))


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("to", FORMATS)
def test_what_has_finished_is_written_and_no_sentence_leaves_the_store(
    exported, tmp_path, capsys, to
):
    assert run(exported.address, "--to", to, "--out", str(tmp_path)) == 0
    told, following = capsys.readouterr().out.splitlines()
    assert told.startswith(f"{tmp_path}: {len(CELLS)} models as ")
    assert told.endswith("; 1 failed trial left out")
    assert following.startswith("next: ")
    text = b"\n".join(contents(tmp_path).values()).decode("utf-8")
    assert SENTENCE not in text and "zebra" not in text
    assert all(cell.hash in text for cell in CELLS.values()) and FAILED.hash not in text


@pytest.mark.parametrize("to", FORMATS)
def test_a_later_export_replaces_the_former_and_nothing_else(exported, tmp_path, to):
    smaller = fill(tmp_path / "smaller", ("generated", "kept"))
    out = tmp_path / "out"
    run(exported.address, "--to", to, "--out", str(out))
    (out / "mine.txt").write_text("mine")
    run(smaller.address, "--to", to, "--out", str(out))
    run(smaller.address, "--to", to, "--out", str(tmp_path / "fresh"))
    assert contents(out).keys() == {"mine.txt", *contents(tmp_path / "fresh")}
    assert (out / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("to", FORMATS)
def test_a_file_of_the_user_is_not_overwritten(exported, tmp_path, to):
    run(exported.address, "--to", to, "--out", str(tmp_path / "out"))
    for manifest in (tmp_path / "out").glob(".attnbench-*"):
        manifest.unlink()
    before = contents(tmp_path / "out")
    with pytest.raises(UsageError, match="is there already") as caught:
        run(exported.address, "--to", to, "--out", str(tmp_path / "out"))
    assert "\n" not in str(caught.value)
    assert contents(tmp_path / "out") == before


def test_kept_models_are_named(exported, tmp_path):
    shutil.copytree(exported.address, tmp_path / "store")
    cell = CELLS["generated"]
    (tmp_path / "store" / "models").mkdir()
    name = f"{cell.kind[:16]}-{cell.hash}.safetensors"
    (tmp_path / "store" / "models" / name).write_bytes(b"")
    out = tmp_path / "out"
    run(str(tmp_path / "store"), "--to", "huggingface", "--out", str(out))
    naming = [path for path, text in contents(out).items() if name.encode() in text]
    assert len(naming) == 1 and cell.hash[:8] in naming[0]


@pytest.mark.parametrize(
    "words",
    [
        ["--to", "nothing", "--out", "out"],
        ["--to", "huggingface"],
        ["--to", "huggingface", "--out", ""],
        ["--to", "huggingface", "--out", "out", "--url", "report/index.html"],
        ["--to", "every-eval-ever", "--out", "out", "--organization", " "],
        ["--to", "every-eval-ever", "--out", "out", "--study", "nobodys"],
        ["--to", "every-eval-ever", "--out", "file/below"],
    ],
)
def test_bad_input_is_one_line_and_status_2(exported, tmp_path, monkeypatch, capsys, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("")
    assert main(["export", exported.address, *words]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("attnbench: error: ")
    assert not (tmp_path / "out").exists()


def test_a_store_where_nothing_finished_has_nothing_to_export(tmp_path):
    store = fill(tmp_path / "store", ("kept",))
    (tmp_path / "store" / "trials" / f"{CELLS['kept'].hash}.json").unlink()
    with pytest.raises(UsageError, match="no finished results"):
        run(store.address, "--to", "huggingface", "--out", str(tmp_path / "out"))

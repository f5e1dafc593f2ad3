"""Results belong to their data: what changes below one data root runs again, in every task."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from own_data import OWN, write_tone
from PIL import Image

from ablations.trial import run_rank, run_trial
from ablations.trial_interface import TrialOptions
from bench.cli import main as cli
from bench.errors import OtherData
from bench.store.cell import Cell
from bench.store.result import Result
from bench.store.store import Store
from tasks.base import Paths
from tasks.plan import make_cell, resolve, with_data

TASKS = sorted(OWN)
#: A file of each task's test examples, and what is mended in it.
MENDED = {
    "translation": ("test.en", "a house 3", "a building 3"),
    "captioning": ("captions.tsv", "a red square", "a crimson square"),
    "entailment": ("test.tsv", "an animal 1 moves", "an animal 1 sleeps"),
    "speech": ("manifest.tsv", "a tone b\ttest", "a tone c\ttest"),
    "summarization": ("test.jsonl", "bridge 2", "bridges 2"),
}
STUDY = """
tasks: [{task}]
datasets: [{dataset}]
seeds: 2
budget: smoke
options: {options}
blocks: [{{attentions: [soft, none]}}]
"""


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("ATTNBENCH_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user-cache"))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.chdir(tmp_path)


@dataclass(frozen=True)
class Roots:
    """One data set in two states, and one store."""

    task: str
    first: Path
    mended: Path
    store: Path

    @classmethod
    def make(cls, task: str, folder: Path) -> Roots:
        first, mended = folder / "first", folder / "mended"
        first.mkdir()
        OWN[task].write(first)
        shutil.copytree(first, mended)
        name, old, new = MENDED[task]
        text = (mended / name).read_text("utf-8")
        assert old in text
        (mended / name).write_text(text.replace(old, new), "utf-8")
        return cls(task, first, mended, folder / "store")

    def command(self, root: Path) -> list[str]:
        run = OWN[self.task].command(self.task, root)
        return [*run, "--set", "max_steps=2", "--store", str(self.store), "--json"]

    def cell(self, root: Path) -> Cell:
        own = OWN[self.task]
        options = {**dict(one.split("=") for one in own.options), "max_steps": 2}
        cell = make_cell(self.task, "soft", dataset=own.dataset, budget="smoke", options=options)
        [found], _ = with_data([cell], root)
        return found

    def options(self, root: Path) -> TrialOptions:
        Store.open(self.store, create=True)
        return TrialOptions(str(self.store), str(root), str(self.store / "cache"))


@pytest.fixture(params=TASKS)
def roots(request: pytest.FixtureRequest, tmp_path: Path) -> Roots:
    return Roots.make(request.param, tmp_path)


def run(command: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[Result, str]:
    capsys.readouterr()
    assert cli.main(command) == 0
    said = capsys.readouterr()
    return Result.from_json(json.loads(said.out)), said.err


def last_line(command: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    capsys.readouterr()
    assert cli.main(command) == 0
    said = capsys.readouterr()
    return said.out.splitlines()[-1], said.err


def test_each_state_of_the_data_has_its_own_result(
    roots: Roots, capsys: pytest.CaptureFixture[str]
) -> None:
    first, said = run(roots.command(roots.first), capsys)
    assert said == ""
    assert first.cell.data == first.provenance.data_fingerprint != ""
    mended, said = run(roots.command(roots.mended), capsys)
    assert mended.hash != first.hash
    assert said.startswith("note: 1 cell is stored for other data") and said.count("\n") == 1
    assert mended.cell.data[:8] in said and first.cell.data[:8] in said
    assert "other test examples" in said
    before, after = first.provenance.splits, mended.provenance.splits
    assert before["test"].examples == after["test"].examples
    assert before["test"].contents != after["test"].contents
    for root, result in ((roots.first, first), (roots.mended, mended)):
        again, said = run(roots.command(root), capsys)
        assert said.startswith("from the store") and again == result

    # The study has the stored cell, another mechanism, and another seed of both.
    study, own = roots.store.parent / "study.yaml", OWN[roots.task]
    options = {**dict(one.split("=") for one in own.options), "max_steps": 2}
    study.write_text(
        STUDY.format(task=roots.task, dataset=own.dataset, options=json.dumps(options)), "utf-8"
    )
    sweep = ["sweep", str(study), "--store", str(roots.store), "--dry-run", "--data-root"]
    assert last_line([*sweep, str(roots.mended)], capsys) == ("4 cells, 3 to run", "")
    (roots.store / "trials" / f"{mended.hash}.json").unlink()
    line, said = last_line([*sweep, str(roots.mended)], capsys)
    assert line == "4 cells, 4 to run"
    assert said.startswith("note: 1 cell is stored for other data")
    assert last_line([*sweep, str(roots.first)], capsys) == ("4 cells, 3 to run", "")


def test_a_trial_on_other_data_than_planned_fails_by_name(roots: Roots) -> None:
    cell, options = roots.cell(roots.first), roots.options(roots.mended)
    result = run_trial(cell, options)
    assert result.failure is not None and result.failure.kind == "other data"
    assert cell.data[:8] in result.failure.message and result.hash == cell.hash
    with pytest.raises(OtherData, match="when the cell was planned"):
        run_rank(cell, replace(options, ranks=2, rank=1))


def test_a_cell_of_ones_own_code_is_given_its_data(roots: Roots) -> None:
    planned = roots.cell(roots.mended)
    result = run_trial(replace(planned, data=""), roots.options(roots.mended))
    assert result.status == "done", result.failure
    assert result.cell == planned


def test_limits_belong_to_the_data(roots: Roots) -> None:
    cell = replace(roots.cell(roots.first), data="")
    fewer = replace(cell, options={**cell.options, "train_limit": 2})
    same = replace(cell, options={**cell.options, "dropout": 0.05})
    (whole, limited, like_whole), splits = with_data([cell, fewer, same], roots.first)
    assert whole.data == like_whole.data != limited.data
    assert splits[limited.data]["train"].examples == 2
    assert splits[limited.data]["test"] == splits[whole.data]["test"]


def test_a_missing_root_is_told_alike(roots: Roots, capsys: pytest.CaptureFixture[str]) -> None:
    own = OWN[roots.task]
    given = [part for option in own.options for part in ("--set", option)]
    axes = ["--task", roots.task, "--dataset", own.dataset, "--attention", "soft", *given]
    lines = []
    for command in (["run"], ["sweep"], ["sweep", "--dry-run"]):
        assert cli.main([*command, *axes, "--store", str(roots.store)]) == 2
        lines.append(capsys.readouterr().err)
    assert lines[0].startswith("attnbench: error: --data-root: ") and len(set(lines)) == 1


def _picture(root: Path) -> tuple[Path, bytes]:
    path = root / "5.png"
    path.write_bytes(path.read_bytes().ljust(400, b"\0"))  # behind the end of the picture
    Image.new("RGB", (24, 24), (1, 2, 3)).save(root / "other.png")
    return path, (root / "other.png").read_bytes().ljust(400, b"\0")


def _sound(root: Path) -> tuple[Path, bytes]:
    write_tone(root / "other.wav", 777.0)
    return root / "clips" / "5.wav", (root / "other.wav").read_bytes()


@pytest.mark.parametrize(("task", "draft"), [("captioning", _picture), ("speech", _sound)])
def test_files_of_the_same_size_and_time_are_told_apart(
    task: str, draft: Callable[[Path], tuple[Path, bytes]], tmp_path: Path
) -> None:
    roots = Roots.make(task, tmp_path)
    path, content = draft(roots.first)
    cell, options = roots.cell(roots.first), roots.options(roots.first)
    first = run_trial(cell, options)
    before = path.stat()
    assert len(content) == before.st_size and content != path.read_bytes()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns

    changed = roots.cell(roots.first)
    assert changed.data != cell.data
    assert run_trial(cell, options).failure is not None
    again = run_trial(changed, options)
    assert again.status == first.status == "done"
    assert again.curve[0]["loss"] != first.curve[0]["loss"]
    # The same files elsewhere are the same data, found in the cache.
    shutil.copytree(roots.first, tmp_path / "moved")
    made = set((roots.store / "cache").rglob("*"))
    moved = roots.cell(tmp_path / "moved")
    assert moved == changed
    resolve(moved).task.prepare(resolve(moved), Paths(tmp_path / "moved", roots.store / "cache"))
    assert set((roots.store / "cache").rglob("*")) == made

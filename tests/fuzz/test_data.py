"""The files of every data set, spoilt: `data check` and `run` answer alike, and what a check passes
can be trained on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fuzzed_command import Answer, ask, examples
from fuzzed_data import MADE
from fuzzed_values import put_in_place, renewed, spoilt
from hypothesis import given
from hypothesis import strategies as st

from tasks.base import datasets, tasks

SETS = sorted(MADE)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them; each in a folder of its own."""
    folder = tmp_path_factory.mktemp("data")
    for (task, name), (make, _) in MADE.items():
        root = folder / "good" / task / name
        root.mkdir(parents=True)
        make(root)
    os.chdir(folder)
    return folder / "good"


def options_of(task: str, name: str) -> list[str]:
    return [part for option in MADE[task, name][1] for part in ("--set", option)]


def check(task: str, name: str, root: Path) -> Answer:
    answer = ask("data", "check", name, str(root), "--task", task, *options_of(task, name))
    assert max(map(len, answer.out.splitlines())) < 1000, answer
    return answer


def run(task: str, name: str, root: Path, *more: str) -> Answer:
    what = ["--task", task, "--dataset", name, "--attention", "soft", "--budget", "smoke"]
    return ask("run", *what, "--data-root", str(root), *options_of(task, name), *more)


def test_all_data_sets_that_read_files_are_here() -> None:
    external = {
        (task, name)
        for task in tasks.names()
        for name, kind in datasets(task).items()
        if kind.external
    }
    assert external == set(MADE)


@pytest.mark.parametrize(("task", "name"), SETS)
def test_good_files(task: str, name: str, good: Path, no_training: None) -> None:
    assert check(task, name, good / task / name).status == 0
    assert run(task, name, good / task / name).status == 0


@pytest.mark.parametrize(("task", "name"), SETS)
def test_spoilt_files(task: str, name: str, good: Path, no_training: None) -> None:
    @examples(4)
    @given(st.data())
    def answers(data: st.DataObject) -> None:
        root = renewed(good / task / name, good.with_name("spoilt"))
        for _ in range(data.draw(st.integers(1, 2))):
            data.draw(spoilt(root))
        checked, ran = check(task, name, root), run(task, name, root)
        assert (checked.status == 0) == (ran.status == 0), (checked, ran)

    answers()


@pytest.mark.parametrize(("task", "name"), SETS)
def test_what_is_no_file(task: str, name: str, good: Path, no_training: None) -> None:
    """A named pipe, which nobody writes to, and a device without end in the place of one file of
    each folder and kind."""
    root = good / task / name
    kinds = {(path.parent, path.suffix): path for path in root.rglob("*") if path.is_file()}
    for path in kinds.values():
        for what in ("pipe", "device"):
            spoilt_root = renewed(root, good.with_name("no-file"))
            put_in_place(spoilt_root / path.relative_to(root), what)
            checked, ran = check(task, name, spoilt_root), run(task, name, spoilt_root)
            assert (checked.status == 0) == (ran.status == 0), (path, what, checked, ran)


@pytest.mark.parametrize("task", sorted(tasks.names()))
def test_what_is_checked_can_be_trained_on(task: str, good: Path) -> None:
    [name] = [name for of, name in SETS if of == task and name in OWN_SETS]

    @examples(1)
    @given(st.data())
    def answers(data: st.DataObject) -> None:
        root = renewed(good / task / name, good.with_name("trained"))
        data.draw(spoilt(root))
        if check(task, name, root).status == 0:
            assert run(task, name, root, "--set", "max_steps=2").status == 0

    answers()


OWN_SETS = {"parallel", "folder", "tabular", "manifest", "jsonl"}

"""Bundles of the leaderboard: archives and members that were changed, by accident or on purpose."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import bundles
import pytest
from fuzzed_command import ask, examples
from fuzzed_values import mutated_bytes, mutated_json, spoilt
from hypothesis import given
from hypothesis import strategies as st

PRACTICE = ("--rules", "practice")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One real trial of the smoke budget, packed."""
    folder = tmp_path_factory.mktemp("bundles")
    os.chdir(folder)
    cell = ["--task", "entailment", "--attention", "soft", "--budget", "smoke"]
    assert ask("run", *cell, "--store", "store").status == 0
    assert ask("leaderboard", "submit", "store", "--out", "good.zip", *PRACTICE).status == 0
    return folder / "good.zip"


def judge(path: Path, *more: str) -> None:
    assert ask("leaderboard", "verify", str(path), *PRACTICE).status in (0, 1, 2)
    ask("leaderboard", "rank", str(path), *more, "--out", str(path.with_name("board")), *PRACTICE)


@examples(8)
@given(st.data())
def test_archives(bundle: Path, data: st.DataObject) -> None:
    """The file itself: its bytes, or another kind of file."""
    folder = bundle.with_name("archives")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    shutil.copy(bundle, folder / "one.zip")
    data.draw(spoilt(folder))
    ask("leaderboard", "verify", f"{folder}/one.zip", *PRACTICE)


@examples(6)
@given(st.data())
def test_members(bundle: Path, data: st.DataObject) -> None:
    """What is in it, with a manifest that agrees or does not."""
    content = bundles.members(bundle)
    name = data.draw(st.sampled_from(sorted(content)))
    whole = content.pop(name)

    def change(old: bytes) -> bytes:
        lines = [old] if name.endswith(".json") else old.splitlines() or [b""]
        place = data.draw(st.integers(0, len(lines) - 1))
        try:
            record = json.loads(lines[place])
        except ValueError:
            return data.draw(mutated_bytes(old))
        mutated = st.one_of(mutated_json(record), mutated_bytes(lines[place]))
        return b"\n".join([*lines[:place], data.draw(mutated), *lines[place + 1 :]])

    target = bundle.with_name("one.zip")
    if name == "bundle.json":
        bundles.write(target, {**content, name: change(whole)})
    else:
        bundles.changed(bundle, target, {name: change}, careful=data.draw(st.booleans()))
    judge(target, *data.draw(st.sampled_from([[], [str(bundle)]])))

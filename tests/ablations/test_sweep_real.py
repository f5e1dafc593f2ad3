"""The command as a user types it, with real trials in real workers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from marked_processes import Marked
from wandb_files import offline_runs

from ablations.expansion import expand
from ablations.study import load_study
from ablations.trial import run_trial
from ablations.trial_interface import TrialOptions
from bench.store.result import Result
from bench.store.store import Store

STUDY = """
title: Four small cells
tasks: [translation]
budget: smoke
options: {max_steps: 4, test_limit: 8}
blocks:
  - attentions: [none, soft, global]
  - attentions: [self]
    scores: [dot]
"""


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[list[Marked]]:
    started: list[Marked] = []
    yield started
    for command in started:
        command.kill()


def test_a_sweep_from_end_to_end(tmp_path: Path, commands: list[Marked]) -> None:
    study, path = tmp_path / "four.yaml", tmp_path / "store"
    study.write_text(STUDY)
    arguments = ["bench.cli.main", "sweep", str(study), "--store", str(path)]
    commands.append(Marked("-m", arguments, tmp_path / "first"))
    assert commands[0].wait(240) == 0, commands[0].stderr
    assert commands[0].alive() == []
    assert "four: 4 cells, 4 to run" in commands[0].stdout
    assert "\n4 done; " in commands[0].stdout

    store = Store.open(path)
    cells = expand(load_study(str(study))).cells
    assert sorted(cell.hash for cell in cells) == store.hashes()
    assert set(offline_runs(path / "wandb")) == set(store.hashes())

    # Another process, other trials before it, nothing kept: the same to the last bit.
    alone = TrialOptions(None, None, str(tmp_path / "cache"))
    for cell in reversed(cells):
        swept, again = store.get(cell.hash), run_trial(cell, alone)
        assert _figures(again) == _figures(swept), cell.label


def _figures(result: Result) -> str:
    """All that must repeat, as text in which floats have all their digits."""
    record = result.to_json()
    kept = ("status", "metrics", "primary", "by_length", "alignment")
    curve = [{k: v for k, v in point.items() if "seconds" not in k} for point in record["curve"]]
    return json.dumps({**{name: record[name] for name in kept}, "curve": curve}, sort_keys=True)


def test_a_context_is_plain_data() -> None:
    context = TrialOptions("s3://b/x", "/data", "~/.cache", 2, "cuda:1", "overview", "offline")
    assert TrialOptions(**json.loads(json.dumps(dataclasses.asdict(context)))) == context

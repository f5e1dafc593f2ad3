"""SIGTERM, as machines that are taken back get it: a checkpoint, and going on from it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from marked_processes import Marked, wait_until

from ablations.context import TrialContext
from ablations.expansion import expand
from ablations.study_files import load_study
from ablations.trial import run_trial
from bench.store import Store

#: Some seconds of training on a core.
LONG = ["--set", "steps=600", "--set", "test_limit=8"]
OFTEN = ["--checkpoint-minutes", "0"]
CELL = ["--task", "translation", "--attention", "soft", "--budget", "smoke"]


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[list[Marked]]:
    made: list[Marked] = []
    yield made
    for command in made:
        command.kill()


def start(folder: Path, commands: list[Marked], *arguments: str) -> Marked:
    commands.append(Marked("-m", ["bench.cli", *arguments], folder))
    return commands[-1]


def figures(store: Store) -> list[Any]:
    found: list[Any] = []
    for result in store.results(problems=[]):
        assert result.status == "done"
        record = result.to_json()
        curve = [{k: v for k, v in point.items() if k != "seconds"} for point in record["curve"]]
        metrics = {k: v for k, v in record["metrics"].items() if "second" not in k}
        found.append(json.dumps([result.hash, metrics, curve], sort_keys=True))
    return sorted(found)


def has_checkpoints(path: Path, count: int) -> bool:
    """Saved at every step here, so from then on training is under way. (Drafts do not count.)"""
    return wait_until(lambda: len(list(path.glob("checkpoints/*.pt"))) == count, timeout=240)


@pytest.mark.timeout(600)
def test_a_run_goes_on_after_sigterm(tmp_path: Path, commands: list[Marked]) -> None:
    parts = ["run", *CELL, *LONG, "--store", str(tmp_path / "parts")]
    stopped = start(tmp_path / "2", commands, *parts, *OFTEN)
    assert has_checkpoints(tmp_path / "parts", 1), stopped.stderr
    stopped.process.send_signal(signal.SIGTERM)
    assert stopped.wait(30) == 143
    assert stopped.stderr.splitlines()[-1].endswith("run again to go on")
    store = Store.open(tmp_path / "parts")
    assert store.hashes() == []
    assert len(list((tmp_path / "parts" / "checkpoints").iterdir())) == 1
    assert start(tmp_path / "3", commands, *parts).wait(300) == 0, commands[-1].stderr
    whole = Store.open(tmp_path / "whole", create=True)
    (result,) = store.results()
    run_trial(result.key, TrialContext(whole.address, None, str(tmp_path)))
    assert figures(store) == figures(whole)
    assert list((tmp_path / "parts" / "checkpoints").iterdir()) == []


@pytest.mark.timeout(600)
def test_a_sweep_goes_on_after_sigterm(tmp_path: Path, commands: list[Marked]) -> None:
    study = tmp_path / "two.yaml"
    study.write_text(
        "tasks: [translation]\nbudget: smoke\nseeds: 2\n"
        "blocks: [{attentions: [soft], options: {steps: 600, test_limit: 8}}]\n"
    )

    def sweep(name: str, store: str, *more: str) -> Marked:
        arguments = ["sweep", str(study), "--store", str(tmp_path / store), "--wandb", "off"]
        return start(tmp_path / name, commands, *arguments, *more)

    stopped = sweep("1", "parts", *OFTEN)
    assert has_checkpoints(tmp_path / "parts", 2), stopped.stderr
    stopped.process.send_signal(signal.SIGTERM)
    assert stopped.wait(40) == 143, stopped.stderr
    assert stopped.alive() == []
    assert "0 done, 2 left, run the same command again" in stopped.stdout
    assert len(list((tmp_path / "parts" / "checkpoints").iterdir())) == 2
    assert sweep("2", "parts").wait(300) == 0, commands[-1].stderr
    alone = TrialContext(Store.open(tmp_path / "whole", create=True).address, None, str(tmp_path))
    for cell in expand(load_study(str(study))).cells:
        run_trial(cell, alone)
    assert figures(Store.open(tmp_path / "parts")) == figures(Store.open(tmp_path / "whole"))
    assert list((tmp_path / "parts" / "sweeps").glob("*.stop")) == []

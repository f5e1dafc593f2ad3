"""SIGTERM, as machines that are taken back get it: a checkpoint, and going on from it."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import held_trials
import pytest
import torch
from marked_processes import SUPPORT, Marked, wait_until

from ablations.cell_runner import run_cell
from ablations.sweep import plan_sweep
from ablations.trial import run_trial
from ablations.trial_interface import TrialOptions
from bench.store.store import Store
from tasks.plan import make_cell

#: Some seconds of training on a core.
LONG = ["--set", "max_steps=600", "--set", "test_limit=8"]
OFTEN = ["--checkpoint-every", "0"]
CELL = ["--task", "translation", "--attention", "soft", "--budget", "smoke"]


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[list[Marked]]:
    made: list[Marked] = []
    yield made
    for command in made:
        command.kill()


def start(folder: Path, commands: list[Marked], *arguments: str) -> Marked:
    commands.append(Marked("-m", ["bench.cli.main", *arguments], folder))
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
    assert stopped.stderr.splitlines()[-1].endswith("run again to continue")
    store = Store.open(tmp_path / "parts")
    assert store.hashes() == []
    assert len(list((tmp_path / "parts" / "checkpoints").iterdir())) == 1
    assert start(tmp_path / "3", commands, *parts).wait(300) == 0, commands[-1].stderr
    whole = Store.open(tmp_path / "whole", create=True)
    (result,) = store.results()
    run_trial(result.cell, TrialOptions(whole.address, None, str(tmp_path)))
    assert figures(store) == figures(whole)
    assert list((tmp_path / "parts" / "checkpoints").iterdir()) == []


@pytest.mark.timeout(600)
def test_a_sweep_goes_on_after_sigterm(tmp_path: Path, commands: list[Marked]) -> None:
    options = {"max_steps": 6, "test_limit": 4}
    cells = [
        make_cell("translation", "soft", budget="smoke", seed=seed, options=options)
        for seed in (1, 2)
    ]
    wanted = {"real": [cell.to_json() for cell in cells], "trial": "held_trials:run"}
    path = tmp_path / "parts"
    script = str(SUPPORT / "fake_sweep.py")
    stopped = Marked(script, [str(path), json.dumps(wanted)], tmp_path / "1")
    commands.append(stopped)
    held = [path / "cache" / f"held-{cell.hash}" for cell in cells]
    assert wait_until(lambda: all(mark.exists() for mark in held), timeout=400), stopped.stderr
    stopped.process.send_signal(signal.SIGTERM)
    assert stopped.wait(40) == 143, stopped.stderr
    assert stopped.alive() == []
    store = Store.open(path)
    assert store.hashes() == []
    left = [
        torch.load(path / "checkpoints" / f"{cell.hash}.pt", weights_only=True) for cell in cells
    ]
    assert [checkpoint["step"] for checkpoint in left] == [held_trials.STEPS] * len(cells)
    # What the next sweep does, without another start of Ray.
    again = TrialOptions(store.address, None, str(store.cache), study="fake")
    for cell in plan_sweep(cells, store).to_run:
        assert run_cell(cell, again, "held_trials:run").status == "done"
    alone = TrialOptions(Store.open(tmp_path / "whole", create=True).address, None, str(tmp_path))
    for cell in cells:
        run_trial(cell, alone)
    assert figures(store) == figures(Store.open(tmp_path / "whole"))
    assert list((path / "checkpoints").iterdir()) == []
    assert list((path / "sweeps").glob("*.stop")) == []

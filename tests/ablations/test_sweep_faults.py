"""What goes wrong beside trials and in them, seen by whoever typed the command."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_trials import fake_cell
from marked_processes import SUPPORT, Marked
from wandb_files import offline_runs

from bench.store.store import Store

#: The second cell's parameters leave the range of floats in its first steps.
STUDY = """
tasks: [translation]
budget: smoke
options: {max_steps: 4, test_limit: 4}
blocks:
  - {attentions: [soft]}
  - {attentions: [global], options: {learning_rate: 1.0e+38, grad_clip_norm: 1.0e+30,
  warmup_fraction: 0.0}}
"""


@pytest.fixture
def unreachable() -> Iterator[dict[str, str]]:
    """The environment of somebody whose W&B server does not answer: nobody listens at its port,
    and nobody else can take it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{taken.getsockname()[1]}"
        yield {"WANDB_BASE_URL": address, "WANDB_API_KEY": "0" * 40}


def finished(command: Marked, status: int) -> Marked:
    try:
        assert command.wait(500) == status, command.stderr
        assert command.alive() == []
    finally:
        command.kill()
    return command


@pytest.mark.timeout(600)
def test_a_trial_that_diverges_and_a_server_that_is_away_stop_no_sweep(
    tmp_path: Path, unreachable: dict[str, str]
) -> None:
    study, path = tmp_path / "two.yaml", tmp_path / "store"
    study.write_text(STUDY)
    arguments = ["bench.cli.main", "sweep", str(study), "--store", str(path), "--wandb", "online"]
    command = finished(Marked("-m", arguments, tmp_path / "run", unreachable), status=1)
    server = unreachable["WANDB_BASE_URL"]
    assert f"W&B offline ({server} cannot be reached; `wandb sync " in command.stdout
    assert "1 done, 1 failed" in command.stdout
    results = {result.cell.attention: result for result in Store.open(path).results()}
    assert results["soft"].status == "done"
    failure = results["global"].failure
    assert failure is not None and failure.kind == "diverged"
    assert failure.message.startswith("the training loss was nan by step ")
    (told,) = [line for line in command.stderr.splitlines() if line.startswith("failed: ")]
    assert told == f"failed: {results['global'].cell.label}: diverged: {failure.message}"
    runs = offline_runs(path / "wandb")
    assert {hash: run.exit_code for hash, run in runs.items()} == {
        results["soft"].hash: 0,
        results["global"].hash: 1,
    }


@pytest.mark.timeout(600)
def test_a_server_that_goes_away_during_a_sweep_loses_no_run(
    tmp_path: Path, unreachable: dict[str, str]
) -> None:
    path = tmp_path / "store"
    cells = [(number, {}) for number in range(8)]
    # Online is what was decided when the sweep began.
    specification = json.dumps({"cells": cells, "wandb": "online"})
    script = str(SUPPORT / "fake_sweep.py")
    run = Marked(script, [str(path), specification], tmp_path / "run", unreachable)
    command = finished(run, status=0)
    hashes = sorted(fake_cell(number).hash for number, _ in cells)
    assert Store.open(path).hashes() == hashes
    runs = offline_runs(path / "wandb")
    assert sorted(runs) == hashes
    assert {run.exit_code for run in runs.values()} == {0}
    (told,) = json.loads(command.stdout.splitlines()[-1])["problems"]
    assert told.startswith("W&B went offline (") and "connection refused" in told

"""Several processes that train a trial together, against one that trains it alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from marked_processes import SUPPORT, Marked, wait_until
from scheduler import SCHEDULER
from wandb_files import offline_runs

from ablations.trial import run_trial
from ablations.trial_interface import TrialOptions
from bench.store.cell import Cell
from bench.store.result import Result
from bench.store.store import Store
from tasks.data.batching import share
from tasks.plan import make_cell

#: Unlearns at its third step, and stops there.
PATIENT = {
    "num_validations": 8,
    "patience": 1,
    "learning_rate": 0.05,
    "schedule": "constant",
    "warmup_fraction": 0.0,
}
#: Nothing is drawn in these, so they must agree. The last is trained on few units a batch, so that
#: some batches have fewer examples than there are ranks.
CELLS = [
    make_cell(task, attention, budget="smoke", options={"max_steps": 8, "dropout": 0.0, **options})
    for task, attention, options in (
        ("translation", "soft", {}),
        ("translation", "self", {"schedule": "inverse-sqrt"}),
        ("entailment", "soft", {}),
        ("entailment", "soft", PATIENT),
        ("summarization", "multi-step", {"batch_tokens": 40}),
    )
]
DRAWN = make_cell(
    "translation",
    "hard",
    budget="smoke",
    options={"max_steps": 8, "dropout": 0.3, "num_validations": 4, "patience": 3},
)
LONG = make_cell("translation", "soft", budget="smoke", options={"max_steps": 150, "test_limit": 8})
STUDY = """
tasks: [translation]
budget: smoke
blocks:
  - {attentions: [hard], options: {max_steps: 8, dropout: 0.3, num_validations: 4, patience: 3}}
  - {attentions: [soft], options: {max_steps: 150, test_limit: 8}}
"""
WILD = make_cell(
    "translation",
    "soft",
    budget="smoke",
    options={"max_steps": 8, "learning_rate": 1e30, "grad_clip_norm": 1e30, "warmup_fraction": 0.0},
)


def train_together(folder: Path, trials: list[dict[str, Any]], ranks: int = 2) -> None:
    arguments = [str(ranks), str(folder / "port"), json.dumps(trials)]
    script = str(SUPPORT / "rank_process.py")
    processes = [
        subprocess.Popen(
            [sys.executable, script, str(rank), *arguments], env={**os.environ, **SCHEDULER}
        )
        for rank in range(ranks)
    ]
    try:
        assert [process.wait(timeout=600) for process in processes] == [0] * ranks
    finally:
        for process in processes:
            process.kill()


def trial(cell: Cell, store: Store, stop_before: int | None = None) -> dict[str, Any]:
    return {"cell": cell.to_json(), "store": store.address, "stop_before": stop_before}


class Trained:
    """What two processes made of all cells, and what one did."""

    def __init__(self, folder: Path) -> None:
        names = ("together", "parts", "alone")
        self.together, self.parts, self.alone = (
            Store.open(folder / name, create=True) for name in names
        )
        trials = [trial(cell, self.together) for cell in (*CELLS, DRAWN, WILD, LONG)]
        trials += [trial(DRAWN, self.parts, steps) for steps in (4, 2, None)]
        train_together(folder, trials)
        context = TrialOptions(self.alone.address, None, str(folder / "cache"))
        for cell in CELLS:
            run_trial(cell, context)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return Trained(tmp_path_factory.mktemp("trained"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: cell.label)
def test_two_processes_do_what_one_does(trained: Trained, cell: Cell) -> None:
    together, alone = trained.together.get(cell.hash), trained.alone.get(cell.hash)
    assert together.status == alone.status == "done", together.failure
    assert together.best_step == alone.best_step
    if "patience" in cell.options:
        assert alone.best_step is not None and len(alone.curve) < 8
    for mine, other in zip(together.curve, alone.curve, strict=True):
        for name in set(other) - {"seconds"}:
            assert mine[name] == pytest.approx(other[name], rel=2e-4, abs=2e-5), name
    rows, others = (store.predictions(cell.hash) for store in (trained.together, trained.alone))
    assert [row["example"] for row in rows] == [row["example"] for row in others]
    assert len({(row["subset"], row["example"]) for row in rows}) == len(rows)
    same = np.mean([a["prediction"] == b["prediction"] for a, b in zip(rows, others, strict=True)])
    assert same >= 0.95, "an arg max may tip over in the last bits"


def test_the_record_says_how_many_trained(trained: Trained) -> None:
    cell = CELLS[0]
    note = "trained by 2 processes together"
    assert note in trained.together.get(cell.hash).provenance.notes
    assert note not in trained.alone.get(cell.hash).provenance.notes
    assert trained.together.hashes() == sorted(c.hash for c in (*CELLS, DRAWN, WILD, LONG))


def test_what_diverges_does_so_for_all(trained: Trained) -> None:
    failure = trained.together.get(WILD.hash).failure
    assert failure is not None and failure.kind == "diverged"


def test_an_interrupted_trial_of_two_ends_as_one_that_was_not(trained: Trained) -> None:
    whole, parts = trained.together.get(DRAWN.hash), trained.parts.get(DRAWN.hash)
    assert figures(parts) == figures(whole)
    assert trained.parts.predictions(DRAWN.hash) == trained.together.predictions(DRAWN.hash)
    assert trained.parts.checkpoint(DRAWN.hash) is None


def figures(result: Result) -> str:
    curve = [{k: v for k, v in point.items() if k != "seconds"} for point in result.curve]
    return json.dumps([result.status, dict(result.metrics), curve])


@pytest.mark.timeout(900)
def test_a_sweep_of_trials_of_two_survives_the_death_of_a_rank(
    trained: Trained, tmp_path: Path
) -> None:
    (tmp_path / "two.yaml").write_text(STUDY)
    path = tmp_path / "store"
    arguments = [
        "sweep",
        str(tmp_path / "two.yaml"),
        "--store",
        str(path),
        "--processes-per-trial",
        "2",
    ]
    arguments += ["--cpus-per-trial", "0.5", "--checkpoint-every", "0", "--wandb", "offline"]
    command = Marked("-m", ["bench.cli.main", *arguments], tmp_path / "run")
    try:
        checkpoint = path / "checkpoints" / f"{LONG.hash}.pt"
        assert wait_until(lambda: checkpoint.exists() or not command.runs, timeout=400)
        assert checkpoint.exists(), command.stderr
        ranks = [process for process in command.processes() if "ray::Rank" in process.name()]
        assert ranks
        for rank in ranks:
            rank.kill()
        assert command.wait(400) == 0, command.stderr
        assert command.alive() == []
    finally:
        command.kill()
    store = Store.open(path)
    assert store.hashes() == sorted([DRAWN.hash, LONG.hash])
    for cell in (DRAWN, LONG):
        assert figures(store.get(cell.hash)) == figures(trained.together.get(cell.hash))
        assert store.predictions(cell.hash) == trained.together.predictions(cell.hash)
    assert set(offline_runs(path / "wandb")) == set(store.hashes())


@pytest.mark.parametrize(("examples", "ranks"), [(7, 2), (2, 3), (1, 2), (8, 4)])
def test_shares_are_parts_of_the_batch(examples: int, ranks: int) -> None:
    batch = np.arange(10, 10 + examples)
    shares = [share(batch, rank, ranks) for rank in range(ranks)]
    assert all(len(part) for part, _ in shares)
    counted = np.concatenate([part for part, counts in shares if counts])
    assert counted.tolist() == batch.tolist()

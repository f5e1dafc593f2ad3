"""Runs in W&B, and the heat maps that they log."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest
from fake_trials import fake_cell, fake_result
from wandb_files import OfflineRun, offline_runs, own_environment
from wandb_server import wandb_server

from ablations.trial_interface import failed_result
from bench.store.cell import Cell
from bench.store.result import Alignment, Cost, Result, Trace
from bench.tracking import open_tracker
from bench.tracking.wandb import Identity, close_run, fitted, heatmap, open_run

wandb = pytest.importorskip("wandb")

PREDICTIONS = [
    {
        "subset": "test",
        "example": str(number),
        "source": "a b",
        "references": ["x", "y"],
        "prediction": "x",
        "score": 1.0,
    }
    for number in range(30)
]

IDENTITY = Identity("a", "name", group=None, job_type="sweep", tags=[], config={})


_own_environment = pytest.fixture(autouse=True)(own_environment)


def runs_in(folder: Path) -> dict[str, OfflineRun]:
    wandb.teardown()  # its process writes a little behind
    return offline_runs(folder)


def trace(example: str) -> Trace:
    return Trace(
        example=example,
        subset="test",
        mode="free",
        kind="words",
        source=("der", "Hund"),
        target=("the", "dog", "</s>"),
        weights=np.array([[0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]),
        gold=((0, 0), (1, 1)),
    )


def full_result(cell: Cell) -> Result:
    return fake_result(cell).model_copy(
        update={
            "alignment": Alignment(aer=0.2, mass_on_gold=0.7),
            "cost": Cost(parameters=100, train_seconds=1.5),
            "converged": False,
        }
    )


def test_one_run_per_trial_with_all_that_belongs_to_it(tmp_path: Path) -> None:
    cells = [fake_cell(1), fake_cell(2, max_steps=20)]
    for cell in cells:  # one after the other in one process, as in a warm worker
        with open_tracker("offline", cell, tmp_path, "overview") as tracker:
            for step in (10, 20):
                tracker.log(step, {"loss": cell.seed + 1 / step})
            tracker.finish(full_result(cell), PREDICTIONS, [trace(str(n)) for n in range(4)])
        assert tracker.problem is None

    runs = runs_in(tmp_path)
    assert set(runs) == {cell.hash for cell in cells}
    for cell in cells:
        run = runs[cell.hash]
        assert (run.group, run.job_type) == ("overview", "translation")
        assert run.name == cell.label
        assert set(run.tags) == {"soft", "concat", "synthetic", "smoke"}
        assert run.config["seed"] == cell.seed
        assert run.config["options"] == dict(cell.options)
        curve = [(row["step"], row["loss"]) for row in run.history if "loss" in row]
        assert curve == [(10, cell.seed + 0.1), (20, cell.seed + 0.05)]
        assert run.summary["primary"] == cell.seed
        assert run.summary["bleu"] == cell.seed
        assert run.summary["status"] == "done"
        assert run.summary["alignment/aer"] == 0.2
        assert run.summary["cost/parameters"] == 100
        assert "cost/peak_memory_bytes" not in run.summary
        assert run.summary["converged"] is False and "best_step" not in run.summary
        assert run.exit_code == 0

    shown = runs[cells[0].hash].history[-1]
    assert shown["alignment 1/caption"] == "test 0 (free)"
    assert shown["alignment 2/_type"] == "image-file"
    assert "alignment 3/_type" not in shown
    assert (shown["predictions/_type"], shown["predictions/nrows"]) == ("table-file", 20)
    assert len(list(tmp_path.rglob("*.png"))) == 4


def test_names_are_no_longer_than_the_server_allows(tmp_path: Path) -> None:
    cell = dataclasses.replace(fake_cell(1), dataset=90 * "d", options={"train": 200 * "t"})
    with open_tracker("offline", cell, tmp_path, 200 * "s") as tracker:
        tracker.finish(fake_result(cell))
    assert tracker.problem is None
    run = runs_in(tmp_path)[cell.hash]
    assert (len(run.name), len(run.group), max(map(len, run.tags))) == (128, 128, 64)
    assert run.config["dataset"] == cell.dataset
    assert fitted(200 * "s") != fitted(201 * "s"), "what is cut off still tells them apart"
    assert fitted(128 * "s") == 128 * "s"


def test_nothing_is_written_outside_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.chdir(home)
    cell = fake_cell(1)
    with open_tracker("offline", cell, tmp_path / "w") as tracker:
        tracker.finish(full_result(cell), PREDICTIONS, [trace("0")])
    assert tracker.problem is None
    assert cell.hash in runs_in(tmp_path / "w")
    assert list(home.rglob("*")) == []


def test_a_failed_trial_is_a_failed_run(tmp_path: Path) -> None:
    cell = fake_cell(1)
    with open_tracker("offline", cell, tmp_path) as tracker:
        tracker.log(1, {"loss": 1.0})
        tracker.finish(failed_result(cell, "diverged", "nan", started="2025-01-01T00:00:00Z"))
    run = runs_in(tmp_path)[cell.hash]
    assert run.exit_code == 1
    assert run.summary["failure"] == "diverged"
    assert run.summary["failure_message"] == "nan"


def test_a_trial_that_was_torn_away_leaves_a_failed_run_and_no_open_one(tmp_path: Path) -> None:
    cell = fake_cell(1)
    with pytest.raises(SystemExit), open_tracker("offline", cell, tmp_path):
        raise SystemExit
    assert wandb.run is None
    assert runs_in(tmp_path)[cell.hash].exit_code == 1


def test_a_failure_of_tracking_is_no_failure_of_the_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = fake_cell(1)
    with open_tracker("offline", cell, tmp_path) as tracker:
        monkeypatch.setattr(tracker._run, "log", lambda *a, **k: 1 / 0)  # type: ignore[union-attr]
        tracker.log(1, {"loss": 1.0})
        tracker.finish(fake_result(cell), PREDICTIONS, [trace("0")])
    assert "ZeroDivisionError" in (tracker.problem or "")
    run = runs_in(tmp_path)[cell.hash]
    assert run.exit_code == 0
    assert run.summary["status"] == "done", "the other parts still went through"


def test_a_second_attempt_goes_on_where_the_first_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = fake_cell(1)
    with wandb_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        failed = failed_result(cell, "diverged", "nan", started="2025-01-01T00:00:00Z")
        for result, steps in ((failed, (10, 20)), (full_result(cell), (10, 20, 30))):
            with open_tracker("online", cell, tmp_path) as tracker:
                for step in steps:
                    tracker.log(step, {"loss": 1 / step})
                tracker.finish(result)
            assert tracker.problem is None
        wandb.teardown()
        run = server.runs[cell.hash]
    assert [row["step"] for row in run.history if "loss" in row] == [10, 20, 30]
    assert (run.exit_code, run.summary["status"]) == (0, "done")
    assert run.summary.get("failure") is None
    assert server.errors == []


def test_a_table_that_cannot_be_logged_takes_no_picture_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*arguments: object, **names: object) -> None:
        raise OSError("the server\nis away")

    monkeypatch.setattr(wandb.sdk.wandb_run.Run, "_log_artifact", refuse)
    cell = fake_cell(1)
    with open_tracker("offline", cell, tmp_path) as tracker:
        tracker.finish(full_result(cell), PREDICTIONS, [trace("0")])
    assert tracker.problem == "tracking failed (OSError: the server is away)"
    (shown,) = runs_in(tmp_path)[cell.hash].history
    assert shown["alignment 1/_type"] == "image-file"
    assert "predictions/_type" not in shown


def test_a_run_that_is_not_taken_in_time_makes_later_ones_offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, problem = open_run("offline", tmp_path, IDENTITY)
    assert problem is None
    finish = run.finish

    def late(**arguments: object) -> None:
        finish(**arguments)
        raise TimeoutError

    monkeypatch.setattr(run, "finish", late)
    monkeypatch.setenv("WANDB_MODE", "online")
    told = close_run(run, 0)
    assert told is not None and "` uploads the rest later" in told
    assert os.environ["WANDB_MODE"] == "offline"


def test_a_network_that_went_away_leads_offline_for_the_rest_of_the_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, modes = wandb.init, []

    def init(**arguments: object) -> object:
        mode = arguments["settings"].mode  # type: ignore[attr-defined]
        modes.append(mode)
        if mode == "online":
            raise wandb.errors.CommError("no network")
        return real(**arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(wandb, "init", init)
    monkeypatch.setenv("WANDB_MODE", "online")
    for number in (1, 2):
        cell = fake_cell(number)
        with open_tracker("online", cell, tmp_path) as tracker:
            tracker.finish(fake_result(cell))
    assert set(runs_in(tmp_path)) == {fake_cell(1).hash, fake_cell(2).hash}
    assert modes == ["online", "offline", "offline"]


def blank_trace(rows: int, columns: int, gold: tuple[tuple[int, int], ...] | None = None) -> Trace:
    weights = np.zeros((rows, columns))
    weights[:, 0] = 1.0
    source, target = (tuple(f"u{n}" for n in range(count)) for count in (columns, rows))
    return Trace("0", "test", "free", "words", source, target, weights, gold=gold)


def test_weights_are_dark_where_they_are_large() -> None:
    pixels = heatmap(blank_trace(4, 4))
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3
    # The first of four columns is black all the way down, the others are white.
    dark = (pixels.max(axis=2) < 30).mean(axis=0)
    inside = np.flatnonzero(dark > 0.5)
    assert inside.size > 0
    width = pixels.shape[1]
    assert inside.max() - inside.min() < width / 4
    assert inside.max() < width / 2


def test_gold_is_framed() -> None:
    def red(pixels: np.ndarray) -> int:
        r, g, b = pixels.astype(int).transpose(2, 0, 1)
        return int(((r - g > 100) & (r - b > 100)).sum())

    assert red(heatmap(blank_trace(4, 4))) == 0
    assert red(heatmap(blank_trace(4, 4, gold=((0, 0), (3, 3))))) > 20


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 400), (2000, 2), (60, 60)])
def test_any_size_can_be_drawn(rows: int, columns: int) -> None:
    height, width, _ = heatmap(blank_trace(rows, columns, gold=((0, 0),))).shape
    assert max(height, width) <= max(1300, rows, columns) + 30


def test_labels_stand_beside_the_weights() -> None:
    def ink(pixels: np.ndarray) -> int:
        return int((pixels < 128).sum())

    plain = Trace("0", "test", "free", "words", ("", ""), ("", ""), np.zeros((2, 2)))
    named = Trace(
        "0", "test", "free", "words", ("Größe", "дом"), ("size", "house"), np.zeros((2, 2))
    )
    assert ink(heatmap(plain)) == 0
    assert ink(heatmap(named)) > 100

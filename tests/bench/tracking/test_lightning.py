"""MLflow, TensorBoard and CSV: what was logged is read back with the tools that users have."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from fake_trials import fake_cell, fake_result
from pytorch_lightning.utilities.rank_zero import rank_zero_only

from ablations.trial_interface import failed_result
from bench.errors import UsageError
from bench.store.cell import Cell
from bench.store.result import Alignment, Cost, Result
from bench.tracking import LIGHTNING, TRACKERS, open_trackers, require_trackers
from bench.tracking.lightning import run_name

#: Of one run: points (step, value) by figure, and hyperparameters as texts.
Read = tuple[dict[str, list[tuple[int, float]]], dict[str, str]]


@pytest.fixture(autouse=True)
def _no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")


def mlflow_runs(folder: Path, experiment: str) -> list[Any]:
    from mlflow import MlflowClient

    client = MlflowClient(f"file:{folder / 'mlflow' / 'mlruns'}")
    found = client.get_experiment_by_name(experiment)
    return list(client.search_runs([found.experiment_id])) if found else []


def read_mlflow(folder: Path, cell: Cell) -> Read:
    from mlflow import MlflowClient

    client = MlflowClient(f"file:{folder / 'mlflow' / 'mlruns'}")
    [run] = [one for one in mlflow_runs(folder, "overview") if one.data.params["hash"] == cell.hash]
    assert run.info.run_name == cell.label
    assert run.info.status == "FINISHED"
    points = {}
    for name in run.data.metrics:
        history = client.get_metric_history(run.info.run_id, name)
        points[name] = [(point.step, point.value) for point in history]
    return points, run.data.params


def read_tensorboard(folder: Path, cell: Cell) -> Read:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    events = EventAccumulator(str(folder / "tensorboard" / run_name(cell)))
    events.Reload()
    points = {
        name: [(point.step, point.value) for point in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }
    held = HParamsPluginData.FromString(
        events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    )
    values = {
        name: value.string_value or f"{value.number_value:g}"
        for name, value in held.session_start_info.hparams.items()
    }
    return points, values


def read_csv(folder: Path, cell: Cell) -> Read:
    import yaml

    place = folder / "csv" / run_name(cell)
    points: dict[str, list[tuple[int, float]]] = {}
    with (place / "metrics.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            for name, value in row.items():
                if name != "step" and value:
                    points.setdefault(name, []).append((int(row["step"]), float(value)))
    held = yaml.safe_load((place / "hparams.yaml").read_text())
    return points, {name: str(value) for name, value in held.items()}


READERS: Mapping[str, Callable[[Path, Cell], Read]] = {
    "mlflow": read_mlflow,
    "tensorboard": read_tensorboard,
    "csv": read_csv,
}


def full_result(cell: Cell) -> Result:
    judged, cost = Alignment(aer=0.25), Cost(parameters=100, train_seconds=1.5)
    return fake_result(cell).model_copy(update={"alignment": judged, "cost": cost})


@pytest.mark.parametrize("name", LIGHTNING)
def test_curve_figures_and_cell_are_read_back(name: str, tmp_path: Path) -> None:
    cells = [fake_cell(1), fake_cell(2, max_steps=20)]
    for cell in cells:  # one after the other in one process, as in a warm worker
        with open_trackers([name], "off", cell, tmp_path, "overview") as tracker:
            for step in (10, 20):
                tracker.log(step, {"step": step, "loss": 1 / step})
            tracker.finish(full_result(cell))
        assert tracker.problem is None
    for cell in cells:
        result = full_result(cell)
        assert result.primary is not None
        points, told = READERS[name](tmp_path, cell)
        assert points["loss"] == [(10, pytest.approx(0.1)), (20, pytest.approx(0.05))]
        assert points["test/primary"] == [(20, pytest.approx(result.primary.value))]
        assert points["alignment/aer"] == [(20, 0.25)]
        assert points["cost/parameters"] == [(20, 100)]
        expected = {"hash": cell.hash, "seed": str(cell.seed), "study": "overview"}
        assert expected.items() <= told.items()
        assert told.get("max_steps") == ("20" if cell.options else None)


@pytest.mark.parametrize("name", LIGHTNING)
def test_a_trial_that_runs_again_takes_the_place_of_the_one_before(
    name: str, tmp_path: Path
) -> None:
    cell = fake_cell(1)
    with pytest.raises(KeyboardInterrupt), open_trackers([name], "off", cell, tmp_path, "overview"):
        raise KeyboardInterrupt
    with open_trackers([name], "off", cell, tmp_path, "overview") as tracker:
        tracker.log(10, {"loss": 3.0})
    with open_trackers([name], "off", cell, tmp_path, "overview") as tracker:
        tracker.log(10, {"loss": 2.0})
        tracker.finish(full_result(cell))
    assert tracker.problem is None
    assert READERS[name](tmp_path, cell)[0]["loss"] == [(10, 2.0)]


def test_failures_are_failed_runs(tmp_path: Path) -> None:
    cell = fake_cell(1)
    with open_trackers(["mlflow"], "off", cell, tmp_path) as tracker:
        tracker.finish(failed_result(cell, "diverged", "nan", started="2025-01-01T00:00:00Z"))
    [run] = mlflow_runs(tmp_path, "attention-bench")
    assert run.info.status == "FAILED"


@pytest.mark.parametrize("name", LIGHTNING)
def test_it_logs_as_any_task_of_a_job(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rank_zero_only, "rank", 3)  # as with SLURM_PROCID=3
    with open_trackers([name], "off", fake_cell(1), tmp_path, "overview") as tracker:
        tracker.log(10, {"loss": 2.0})
        tracker.finish(full_result(fake_cell(1)))
    assert READERS[name](tmp_path, fake_cell(1))[0]["loss"] == [(10, 2.0)]


@pytest.mark.parametrize("name", LIGHTNING)
def test_what_cannot_be_written_is_a_problem_and_no_error(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("in the way")
    with open_trackers([name], "off", fake_cell(1), tmp_path) as tracker:
        tracker.log(10, {"loss": 2.0})
        tracker.finish(full_result(fake_cell(1)))
    assert tracker.problem is not None
    assert name in tracker.problem
    assert "\n" not in tracker.problem


def test_a_server_that_is_not_there_holds_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "*")
    with open_trackers(["mlflow", "csv"], "off", fake_cell(1), tmp_path) as tracker:
        tracker.log(10, {"loss": 2.0})
        tracker.finish(full_result(fake_cell(1)))
    assert tracker.problem is not None
    assert tracker.problem.startswith("not tracked by mlflow")
    assert READERS["csv"](tmp_path, fake_cell(1))[0]["loss"] == [(10, 2.0)]


@pytest.mark.parametrize("name", ["mlflow", "tensorboard"])
def test_what_is_not_installed_is_said_with_the_way_to_install_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_trackers(TRACKERS)
    monkeypatch.setattr("importlib.util.find_spec", lambda wanted: None)
    for known in list(sys.modules):
        if known.split(".")[0] == name:
            monkeypatch.delitem(sys.modules, known)
    with pytest.raises(UsageError, match=rf"--track {name}: .* is not installed; pip .*\[{name}\]"):
        require_trackers([name])

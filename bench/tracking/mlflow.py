"""Tracking in MLflow, by Lightning's MLFlowLogger: a run for each trial, in the file store
`mlflow/mlruns` or at MLFLOW_TRACKING_URI.

Files, since many processes write at once: a database of one file makes them wait for each other,
and takes half a minute to be made.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from filelock import FileLock
from pytorch_lightning.loggers import MLFlowLogger

from bench.tracking.lightning import LightningTracker

if TYPE_CHECKING:
    from bench.store.cell import Cell

#: The experiment of trials that belong to no study.
EXPERIMENT = "attention-bench"

#: What MLflow's client heeds, unless the user has set it otherwise.
_ENVIRONMENT = {
    "MLFLOW_ALLOW_FILE_STORE": "true",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # A server that has gone must not hold a trial for minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "5",
}


class MlflowTracker(LightningTracker):
    """A run whose experiment is the study. Beside the file store lies the id of each cell's run, so
    that a trial that runs again takes the place of the one before, which goes to MLflow's trash."""

    name: ClassVar[str] = "mlflow"

    def logger(self, cell: Cell, folder: Path, study: str | None) -> MLFlowLogger:
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        (folder / "runs").mkdir(parents=True, exist_ok=True)
        logger = MLFlowLogger(
            experiment_name=study or EXPERIMENT,
            run_name=cell.label,
            tracking_uri=os.environ.get("MLFLOW_TRACKING_URI") or f"file:{folder / 'mlruns'}",
        )
        known = folder / "runs" / cell.hash
        with FileLock(folder / ".lock"):  # or two processes make an experiment of the same name
            run = logger.run_id
        assert run is not None
        with contextlib.suppress(Exception):  # none, or one of another server
            logger.experiment.delete_run(known.read_text())
        known.write_text(run)
        return logger

"""Tracking in CSV files, by Lightning's CSVLogger: `csv/RUN/metrics.csv`, a row a validation and a
last one with the figures, and `csv/RUN/hparams.yaml`."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pytorch_lightning.loggers import CSVLogger

from bench.tracking.lightning import LightningTracker, run_name

if TYPE_CHECKING:
    from bench.store.cell import Cell


class CsvTracker(LightningTracker):
    """A folder for each trial."""

    name: ClassVar[str] = "csv"

    def logger(self, cell: Cell, folder: Path, study: str | None) -> CSVLogger:
        shutil.rmtree(folder / run_name(cell), ignore_errors=True)
        return CSVLogger(folder, name=run_name(cell), version="", flush_logs_every_n_steps=1)

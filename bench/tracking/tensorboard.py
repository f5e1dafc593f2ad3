"""Tracking for TensorBoard, by Lightning's TensorBoardLogger: event files in `tensorboard/RUN`."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pytorch_lightning.loggers import TensorBoardLogger

from bench.tracking.lightning import LightningTracker, run_name

if TYPE_CHECKING:
    from bench.store.cell import Cell
    from bench.store.result import Result, Trace


class TensorBoardTracker(LightningTracker):
    """A folder of event files for each trial."""

    name: ClassVar[str] = "tensorboard"

    def logger(self, cell: Cell, folder: Path, study: str | None) -> TensorBoardLogger:
        shutil.rmtree(folder / run_name(cell), ignore_errors=True)
        return TensorBoardLogger(folder, name=run_name(cell), version="", default_hp_metric=False)

    def begin(self, hyperparameters: Mapping[str, Any]) -> None:
        """Keep them for `finish`: TensorBoard shows hyperparameters beside a figure."""
        self._hyperparameters = dict(hyperparameters)

    def finish(
        self,
        result: Result,
        predictions: Sequence[Mapping[str, Any]] = (),
        traces: Sequence[Trace] = (),
    ) -> None:
        super().finish(result, predictions, traces)
        if result.primary is not None:
            headline = {"hp_metric": result.primary.value}
            with self._harmless():
                self._logger.log_hyperparams(self._hyperparameters, headline, step=self._step)

"""Tracking by Lightning's own loggers: the cell as hyperparameters, the curve, the figures."""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pytorch_lightning.utilities.rank_zero import rank_zero_only

from bench.tracking.base import figures_of

if TYPE_CHECKING:
    from pytorch_lightning.loggers.logger import Logger

    from bench.store.cell import Cell
    from bench.store.result import Result, Trace


class LightningTracker(ABC):
    """A run in one of Lightning's loggers. A trial that goes on from a checkpoint logs its curve
    from the beginning, and so starts its run anew.

    Args:
        folder: files lie below it, in a folder of this tracker's name.
        study: the study that the cell belongs to, or None.

    Raises:
        Exception: whatever the library raises where a run cannot be begun.
    """

    name: ClassVar[str]

    def __init__(self, cell: Cell, folder: Path, study: str | None) -> None:
        self.problem: str | None = None
        self._step, self._status = 0, "failed"
        # A tracker belongs to rank 0 of a trial, whichever task of a cluster's job that is:
        # Lightning takes a process for another rank where SLURM_PROCID is not 0.
        setattr(rank_zero_only, "rank", 0)  # noqa: B010 - untyped
        with _silent():
            self._logger = self.logger(cell, folder / self.name, study)
            self.begin(hyperparameters(cell, study))

    @abstractmethod
    def logger(self, cell: Cell, folder: Path, study: str | None) -> Logger:
        """The logger of a new run, in place of an earlier one of the same cell."""

    def begin(self, hyperparameters: Mapping[str, Any]) -> None:
        """Log what the run is of."""
        self._logger.log_hyperparams(dict(hyperparameters))

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        figures = {name: value for name, value in metrics.items() if name != "step"}
        with self._harmless():
            self._step = step
            self._logger.log_metrics(figures, step)
            self._logger.save()

    def finish(
        self,
        result: Result,
        predictions: Sequence[Mapping[str, Any]] = (),
        traces: Sequence[Trace] = (),
    ) -> None:
        """Log the figures at the last step of the curve; predictions and traces are W&B's alone."""
        with self._harmless():
            self._logger.log_metrics(figures_of(result, "test/"), self._step)
        self._status = "success" if result.status == "done" else "failed"

    def __enter__(self) -> LightningTracker:
        return self

    def __exit__(self, *error: object) -> None:
        with self._harmless():
            self._logger.finalize(self._status)

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        """Make a problem of the first error; a tracker that had one does as little as it can."""
        try:
            with _silent():
                yield
        except Exception as error:
            message = " ".join(str(error).split())
            self.problem = self.problem or (
                f"tracking by {self.name} failed ({type(error).__name__}: {message})"
            )


def hyperparameters(cell: Cell, study: str | None) -> dict[str, Any]:
    """The cell as flat names and values."""
    named = {**cell.to_json(), "hash": cell.hash, "study": study}
    options = named.pop("options")
    return {name: value for name, value in named.items() if value is not None} | dict(options)


def run_name(cell: Cell) -> str:
    """A name for people that is a file name, too, and no other cell's."""
    pair = f"{cell.attention}+{cell.score}" + (f"+{cell.backbone}" if cell.backbone else "")
    name = f"{cell.task}-{cell.dataset}-{pair}-seed{cell.seed}-{cell.hash[:12]}"
    return re.sub(r"[^\w.+-]", "_", name)


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    """Keep what the libraries say about themselves from a trial's output."""
    talkers = [logging.getLogger(name) for name in ("pytorch_lightning", "mlflow")]
    levels = [talker.level for talker in talkers]
    for talker in talkers:
        talker.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for talker, level in zip(talkers, levels, strict=True):
            talker.setLevel(level)

"""Tracking of trials while they run: by W&B, MLflow, TensorBoard, in CSV files, or by several."""

from __future__ import annotations

import importlib.util
import pkgutil
from collections.abc import Callable, Collection, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from bench.errors import UsageError
from bench.tracking.base import NullTracker, SeveralTrackers, Tracker
from bench.tracking.wandb_mode import REQUESTS, Decision, Mode, decide, sync_command

if TYPE_CHECKING:
    from bench.store.cell import Cell

__all__ = [
    "REQUESTS",
    "TRACKERS",
    "Decision",
    "Mode",
    "NullTracker",
    "Tracker",
    "decide",
    "open_tracker",
    "open_trackers",
    "require_trackers",
    "sync_command",
]

#: Trackers besides W&B, as "module:class" by name.
LIGHTNING: Mapping[str, str] = {
    "mlflow": "bench.tracking.mlflow:MlflowTracker",
    "tensorboard": "bench.tracking.tensorboard:TensorBoardTracker",
    "csv": "bench.tracking.csv:CsvTracker",
}
#: What `--track` may name.
TRACKERS = ("wandb", *LIGHTNING)

#: Packages that are not installed with this one, each in an extra of its name.
_EXTRAS = {"mlflow": "MLflow", "tensorboard": "TensorBoard"}


def require_trackers(names: Collection[str]) -> None:
    """Raise UsageError for a tracker whose package is not installed."""
    for name in names:
        if name in _EXTRAS and importlib.util.find_spec(name) is None:
            raise UsageError(
                f"{_EXTRAS[name]} is not installed",
                where=f"--track {name}",
                remedy=f"pip install 'attention-bench[{name}]'",
            )


def open_trackers(
    names: Collection[str], mode: Mode, cell: Cell, folder: Path, study: str | None = None
) -> Tracker:
    """Open the trackers of one trial as one; never raises an Exception.

    Args:
        names: keys of `LIGHTNING`.
        mode: of W&B, that `decide` chose.
        folder: each tracker writes below it, in a folder of its own name (`Store.scratch`).
        study: becomes the group of a run in W&B, the experiment in MLflow.
    """
    opened = [open_tracker(mode, cell, folder / "wandb", study)]
    opened += [
        _opened(name, partial(_lightning_tracker, name, cell, folder, study)) for name in names
    ]
    return opened[0] if len(opened) == 1 else SeveralTrackers(opened)


def open_tracker(mode: Mode, cell: Cell, folder: Path, study: str | None = None) -> Tracker:
    """Open the W&B run of one trial; never raises an Exception.

    Args:
        mode: the mode that `decide` chose.
        folder: W&B writes below it (`Store.wandb`).
        study: becomes the group of the run.
    """
    if mode == "off":
        return NullTracker()

    def opened() -> Tracker:
        from bench.tracking.wandb import WandbTracker

        return WandbTracker(mode, cell, folder, study)

    return _opened("", opened)


def _lightning_tracker(name: str, cell: Cell, folder: Path, study: str | None) -> Tracker:
    tracker: Tracker = pkgutil.resolve_name(LIGHTNING[name])(cell, folder, study)
    return tracker


def _opened(name: str, make: Callable[[], Tracker]) -> Tracker:
    try:
        return make()
    except Exception as error:
        message = " ".join(str(error).split())
        by = f" by {name}" if name else ""
        return NullTracker(f"not tracked{by} ({type(error).__name__}: {message})")

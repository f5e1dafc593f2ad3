"""One Weights & Biases run per trial.

Written for warm workers, where run follows run in one process: explicit identity, settings that
start a run in a dozen milliseconds, and `finish` whatever happens, since the next run would
otherwise continue the open one.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wandb

from bench.heatmap import heatmap

if TYPE_CHECKING:
    from bench.cell import Cell
    from bench.result import Result
    from bench.trace import Trace
    from bench.tracking import Mode

PROJECT = "attention-bench"
_PICTURES = 2
_TABLE_ROWS = 20
_COLUMNS = ("subset", "example", "source", "references", "prediction", "score")
_INIT_SECONDS = 10
_FINISH_SECONDS = 20

_log = logging.getLogger(__name__)


class WandbTracker:
    """A run named by the cell's hash: group = study, job type = task.

    Opening it in mode "online" falls back to offline, for the rest of the process, where the
    network has gone since the sweep began.
    """

    def __init__(self, mode: Mode, cell: Cell, folder: Path, study: str | None) -> None:
        self.problem: str | None = None
        self._exit_code = 1
        folder.mkdir(parents=True, exist_ok=True)
        # Logs and staged tables would otherwise go to the user's home.
        os.environ.setdefault("WANDB_CACHE_DIR", str(folder / "cache"))
        os.environ.setdefault("WANDB_DATA_DIR", str(folder / "data"))
        # Set by ourselves below after a failure, so that no later trial waits for the same thing.
        if os.environ.get("WANDB_MODE") == "offline":
            mode = "offline"
        try:
            self._run = _start(mode, cell, folder, study)
        except Exception as error:
            if mode == "offline":
                raise
            os.environ["WANDB_MODE"] = "offline"
            said = _one_line(error).replace(cell.hash, "...")  # the same for all trials
            self.problem = f"W&B went offline ({type(error).__name__}: {said})"
            wandb.teardown()  # its service holds on to the run that did not start
            self._run = _start("offline", cell, folder, study)

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        with self._harmless():
            self._run.log({**metrics, "step": step})

    def finish(
        self,
        result: Result,
        predictions: Sequence[Mapping[str, Any]] = (),
        traces: Sequence[Trace] = (),
    ) -> None:
        with self._harmless():
            self._run.summary.update(_summary(result))
        with self._harmless():
            shown = {**_pictures(traces), **_table(predictions)}
            if shown:
                self._run.log(shown)
        self._exit_code = 0 if result.status == "done" else 1

    def __enter__(self) -> WandbTracker:
        return self

    def __exit__(self, *error: object) -> None:
        with self._harmless():
            self._run.finish(exit_code=self._exit_code)

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        """Note the first thing that goes wrong and go on."""
        try:
            yield
        except Exception as error:
            if self.problem is None:
                self.problem = f"tracking failed ({type(error).__name__}: {_one_line(error)})"
                _log.warning("%s", self.problem)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _start(mode: Mode, cell: Cell, folder: Path, study: str | None) -> Any:
    settings = wandb.Settings(
        mode=mode,
        init_timeout=_INIT_SECONDS,
        finish_timeout=_FINISH_SECONDS,
        # What each run would otherwise spend 100 ms and more on.
        x_disable_stats=True,
        x_disable_meta=True,
        x_save_requirements=False,
        disable_git=True,
        disable_code=True,
        console="off",
        silent=True,
    )
    run = wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        id=cell.hash,
        name=cell.label,
        group=study,
        job_type=cell.task,
        tags=[cell.attention, cell.score, cell.dataset, cell.budget],
        config=cell.to_json(),
        dir=str(folder),
        resume="allow" if mode == "online" else None,
        reinit="finish_previous",
        settings=settings,
    )
    run.define_metric("step")
    run.define_metric("*", step_metric="step")
    return run


def _summary(result: Result) -> dict[str, Any]:
    summary: dict[str, Any] = {"status": result.status, **result.metrics}
    if result.primary:
        summary["primary"] = result.primary.value
        summary["primary_name"] = result.primary.name
        summary["primary_low"] = result.primary.low
        summary["primary_high"] = result.primary.high
    if result.alignment:
        figures = result.alignment.model_dump(exclude={"forced", "controls"}, exclude_none=True)
        summary.update({f"alignment/{name}": value for name, value in figures.items()})
    cost = result.cost.model_dump(exclude_none=True)
    summary.update({f"cost/{name}": value for name, value in cost.items()})
    if result.failure:
        summary["failure"] = result.failure.kind
        summary["failure_message"] = result.failure.message
    return summary


def _pictures(traces: Sequence[Trace]) -> dict[str, Any]:
    # One key each: a list of pictures has to be of one size.
    return {
        f"alignment {number}": wandb.Image(
            heatmap(trace), caption=f"{trace.subset} {trace.example} ({trace.mode})"
        )
        for number, trace in enumerate(traces[:_PICTURES], start=1)
    }


def _table(predictions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if not predictions:
        return {}
    columns: list[str | int] = list(_COLUMNS)
    rows: list[Iterable[Any]] = [
        [" | ".join(row[name]) if name == "references" else row[name] for name in _COLUMNS]
        for row in predictions[:_TABLE_ROWS]
    ]
    return {"predictions": wandb.Table(columns=columns, data=rows)}

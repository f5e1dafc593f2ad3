"""One Weights & Biases run per trial.

Written for warm workers, where run follows run in one process: explicit identity, settings that
start a run in a dozen milliseconds, and `finish` whatever happens, since the next run would
otherwise continue the open one.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import wandb

from bench.heatmap import heatmap
from bench.wandb_runs import Identity, close_run, one_line, open_run

if TYPE_CHECKING:
    from bench.cell import Cell
    from bench.result import Result
    from bench.trace import Trace
    from bench.tracking_base import Mode

_PICTURES = 2
_TABLE_ROWS = 20
_COLUMNS = ("subset", "example", "source", "references", "prediction", "score")


class WandbTracker:
    """A run named by the cell's hash: group = study, job type = task.

    Opening it in mode "online" falls back to offline, for the rest of the process, where the
    network has gone since the sweep began.
    """

    def __init__(self, mode: Mode, cell: Cell, folder: Path, study: str | None) -> None:
        self._exit_code = 1
        identity = Identity(
            id=cell.hash,
            name=cell.label,
            group=study,
            job_type=cell.task,
            tags=[cell.attention, cell.score, cell.dataset, cell.budget],
            config=cell.to_json(),
        )
        self.problem: str | None
        self._run, self.problem = open_run(mode, folder, identity)
        self._known_step = _last_step(self._run)
        self._run.define_metric("step")
        self._run.define_metric("*", step_metric="step")

    def log(self, step: int, metrics: Mapping[str, float]) -> None:
        with self._harmless():
            if step > self._known_step:  # going on from a checkpoint begins with the old points
                self._run.log({**metrics, "step": step})

    def finish(
        self,
        result: Result,
        predictions: Sequence[Mapping[str, Any]] = (),
        traces: Sequence[Trace] = (),
    ) -> None:
        with self._harmless():
            if self._run.resumed:
                self._run.summary.update({"failure": None, "failure_message": None})
            self._run.summary.update(_summary(result))
        with self._harmless():
            self._run.log(_pictures(traces), commit=False)  # into the row that the table ends
        with self._harmless():
            if predictions:
                self._run.log(_table(predictions))
        self._exit_code = 0 if result.status == "done" else 1

    def __enter__(self) -> WandbTracker:
        return self

    def __exit__(self, *error: object) -> None:
        with self._harmless():
            self.problem = close_run(self._run, self._exit_code) or self.problem

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        """Note the first thing that goes wrong and go on."""
        try:
            yield
        except Exception as error:
            if self.problem is None:
                self.problem = f"tracking failed ({type(error).__name__}: {one_line(error)})"


def _last_step(run: Any) -> float:
    """Of the curve that the server has of an earlier attempt at the same trial."""
    step = run.summary.get("step") if run.resumed else None
    return step if isinstance(step, int | float) else 0


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
    columns: list[str | int] = list(_COLUMNS)
    rows: list[Iterable[Any]] = [
        [" | ".join(row[name]) if name == "references" else row[name] for name in _COLUMNS]
        for row in predictions[:_TABLE_ROWS]
    ]
    return {"predictions": wandb.Table(columns=columns, data=rows)}

"""One trial: a cell is trained, tested, measured and stored.

Needs neither Ray nor W&B to be imported: the same function runs in-process, in a warm Ray worker,
or as one of several ranks. A trial starts from a clean seed and leaves clean memory behind, so
its figures do not depend on who ran it or what ran there before.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
import os
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from ablations.cancellation import Interrupted
from ablations.context import TrialContext
from ablations.distributed import RankFailed, RankLost
from ablations.fit import fit, seed_all
from ablations.outcome import OUT_OF_MEMORY, failed_trial, validated
from bench.errors import UsageError
from bench.hardware import (
    PeakMemory,
    count_attention_parameters,
    count_parameters,
    freeze_garbage_collection,
    release_memory,
)
from bench.store.cell import Cell
from bench.store.provenance import provenance, utc_now
from bench.store.result import Cost, Result
from bench.store.trace import Trace
from bench.tracking import NullTracker, Tracker, open_tracker
from tasks.base import Evaluation, Plan, TaskData
from tasks.plan import resolve
from tasks.training.module import DivergedError

#: `Failure.kind` of input the user must mend; `attnbench run` turns it into exit status 2.
UNUSABLE = "unusable input"


def run_trial(cell: Cell, context: TrialContext) -> Result:
    """Train, test, measure and store one cell.

    What goes wrong in the cell becomes a failed result, which is stored like any other (a
    finished result of the same cell is never replaced by it).

    Raises:
        OSError, UsageError: the store cannot be written.
        Interrupted: it was asked to stop. The next trial of this cell goes on from there.
        RankLost: the process of another rank died. The same holds.
    """
    assert context.rank == 0, "the others assist"
    started, clock = utc_now(), time.perf_counter()
    store = context.store()
    folder = Path(context.cache) if store is None else store.wandb
    with open_tracker(context.wandb, cell, folder, context.study) as tracker:
        try:
            with _clean(cell.seed, context):
                evaluation, result = _attempt(cell, context, tracker, started, clock)
            rows, traces = _finite_rows(evaluation), list(evaluation.traces)
        except (Interrupted, RankLost):
            release_memory()
            raise
        except Exception as error:
            result, rows, traces = _failed(cell, context, error, started), [], []
        _keep(result, rows, traces, context, tracker)
    context.note(tracker.problem)
    release_memory()
    freeze_garbage_collection()
    return result


def _keep(
    result: Result,
    rows: list[dict[str, Any]],
    traces: list[Trace],
    context: TrialContext,
    tracker: Tracker,
) -> None:
    """Store and track what became of a cell, with its predictions (`_finite_rows`) and traces.

    Raises:
        OSError, UsageError: the store cannot be written.
    """
    store = context.store()
    if store is not None:
        store.put(result, rows, [trace.to_json() for trace in traces])
        store.drop_checkpoint(result.hash)
    tracker.finish(result, rows[:20], traces)


def assist(cell: Cell, context: TrialContext) -> None:
    """Train a cell as one of several ranks; `run_trial` in the process of rank 0 does the rest.

    Raises:
        Exception: what went wrong; rank 0 makes a result of it.
        Interrupted: the trial was asked to stop.
    """
    try:
        with _clean(cell.seed, context):
            plan = resolve(cell)
            data = plan.task.prepare(plan, context.paths())
            seed_all(cell.seed)
            fit(plan, plan.task.module(plan, data), data, context, NullTracker())
    finally:
        release_memory()


def _finite_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The predictions as the store takes them. Raises DivergedError where one carries a figure that
    JSON cannot hold."""
    rows = [dataclasses.asdict(prediction) for prediction in evaluation.predictions]
    try:
        json.dumps(rows, allow_nan=False)
    except ValueError:
        raise DivergedError("a figure of a prediction is not finite") from None
    return rows


def _attempt(
    cell: Cell, context: TrialContext, tracker: Tracker, started: str, clock: float
) -> tuple[Evaluation, Result]:
    plan = resolve(cell)
    with PeakMemory(context.device) as peak:
        data = plan.task.prepare(plan, context.paths())
        seed_all(cell.seed)  # whether data came from a cache must not show
        module = plan.task.module(plan, data)
        train_seconds = fit(plan, module, data, context, tracker)
        evaluation = _evaluated(plan, module, data, context)
    cost = Cost(
        parameters=count_parameters(module),
        attention_parameters=count_attention_parameters(module),
        train_seconds=round(train_seconds, 3),
        train_units_per_second=_ratio(getattr(module, "trained_units", 0), train_seconds),
        decode_per_second=_ratio(evaluation.decoded, evaluation.decode_seconds),
        peak_memory_bytes=peak.bytes,
        total_seconds=round(time.perf_counter() - clock, 3),
    )
    notes = _ranks_note(context)
    return evaluation, _finished(plan, module, data, evaluation, cost, context, started, notes)


def _evaluated(
    plan: Plan, module: pl.LightningModule, data: TaskData, context: TrialContext
) -> Evaluation:
    """Test a trained module, or what its validations gave where there are no tests."""
    if not context.tests:
        return _validated(module)
    module = module.to(context.device).eval()
    with torch.inference_mode():
        return plan.task.evaluate(plan, module, data)


def _finished(
    plan: Plan,
    module: pl.LightningModule,
    data: TaskData,
    evaluation: Evaluation,
    cost: Cost,
    context: TrialContext,
    started: str,
    notes: Sequence[str] = (),
) -> Result:
    """The record of a cell that was trained and tested."""
    cell = plan.cell
    return Result(
        hash=cell.hash,
        cell=cell.to_json(),
        status="done",
        metrics=dict(evaluation.metrics),
        primary=evaluation.primary,
        by_length=tuple(evaluation.by_length),
        alignment=evaluation.alignment,
        cost=cost,
        curve=_curve(module),
        provenance=provenance(
            started=started,
            device=context.device,
            threads=context.threads,
            study=context.study,
            data_fingerprint=data.fingerprint,
            signatures=evaluation.signatures,
            notes=[*data.notes, *evaluation.notes, *notes, *context.notes_of(cell)],
        ),
    )


@contextmanager
def _clean(seed: int, context: TrialContext) -> Iterator[None]:
    """Nothing of the trials before shows, and nothing is left for those that follow."""
    torch.set_num_threads(context.threads)
    if context.device.startswith("cuda"):
        # What several trials on one GPU need too much fails alone, and by name.
        torch.cuda.set_per_process_memory_fraction(context.gpu_share)
    deterministic = torch.are_deterministic_algorithms_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # or cuBLAS is not repeatable
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Filling new memory guards nothing here and costs time.
    setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)  # noqa: B010 - untyped
    seed_all(seed)
    talker = logging.getLogger("pytorch_lightning")
    level = talker.level
    talker.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pytorch_lightning")
            warnings.filterwarnings("ignore", module="torch")
            yield
    finally:
        talker.setLevel(level)
        torch.use_deterministic_algorithms(deterministic)


def _failed(cell: Cell, context: TrialContext, error: Exception, started: str) -> Result:
    """The record of a cell whose trial raised."""
    message = str(error) or type(error).__name__
    return failed_trial(cell, context, kind_of(error), message, started=started)


def _validated(module: Any) -> Evaluation:
    last = module.curve[-1]
    return Evaluation(predictions=(), **validated(last["validation_loss"], last["step"]))


def _ranks_note(context: TrialContext) -> list[str]:
    return [f"trained by {context.ranks} processes together"] if context.ranks > 1 else []


def kind_of(error: Exception) -> str:
    """`Failure.kind` of what a trial raised."""
    if isinstance(error, RankFailed):
        return error.kind
    if isinstance(error, UsageError):
        return UNUSABLE
    if isinstance(error, DivergedError):
        return "diverged"
    memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
    # The CPU's allocator has no exception of its own.
    said = ("can't allocate memory", "not enough memory", "out of memory")
    if memory or any(words in str(error).lower() for words in said):
        return OUT_OF_MEMORY
    return type(error).__name__


def _curve(module: Any) -> tuple[dict[str, float], ...]:
    points = getattr(module, "curve", [])
    return tuple(
        {key: round(float(value), 6) for key, value in point.items() if math.isfinite(value)}
        for point in points
    )


def _ratio(amount: float, seconds: float) -> float | None:
    return round(amount / seconds, 2) if seconds > 0 else None

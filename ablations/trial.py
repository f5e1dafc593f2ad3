"""One trial: a cell is trained, tested, measured and stored.

Needs neither Ray nor W&B to be imported: the same function runs in-process, in a warm Ray worker,
or as one of several ranks. A trial starts from a clean seed and leaves clean memory behind, so
its figures do not depend on who ran it or what ran there before.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import math
import os
import random
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np
import pytorch_lightning as pl
import torch

import bench
from ablations.checkpoints import Checkpoints, Interruptible
from ablations.context import TrialContext
from ablations.interruption import Interrupted
from ablations.outcome import OUT_OF_MEMORY, failed_trial
from bench.cell import Cell
from bench.errors import UsageError
from bench.measure import (
    PeakMemory,
    count_attention_parameters,
    count_parameters,
    release_memory,
)
from bench.provenance import provenance, utc_now
from bench.result import Cost, Result
from bench.tracking import Tracker, open_tracker
from tasks.base import Evaluation, Plan, TaskData
from tasks.datamodule import StreamModule
from tasks.plan import resolve
from tasks.training import DivergedError, TrainingModule

if TYPE_CHECKING:
    from collections.abc import Mapping

#: `Failure.kind` of input the user must mend; `attnbench run` turns it into exit status 2.
UNUSABLE = "unusable input"


def run_trial(cell: Cell, context: TrialContext) -> Result:
    """Train, test, measure and store one cell.

    What goes wrong in the cell becomes a failed result, which is stored like any other (a
    finished result of the same cell is never replaced by it).

    Raises:
        OSError, UsageError: the store cannot be written.
        Interrupted: it was asked to stop. The next trial of this cell goes on from there.
    """
    started, clock = utc_now(), time.perf_counter()
    store = context.store()
    folder = Path(context.cache) if store is None else store.wandb
    with open_tracker(context.wandb, cell, folder, context.study) as tracker:
        try:
            with _clean(cell.seed, context):
                evaluation, result = _attempt(cell, context, tracker, started, clock)
            rows = [dataclasses.asdict(prediction) for prediction in evaluation.predictions]
            traces = list(evaluation.traces)
            _check_finite(rows)
        except Interrupted:
            release_memory()
            raise
        except Exception as error:
            result, rows, traces = _failed(cell, context, error, started), [], []
        if store is not None:
            store.put(result, rows, [trace.to_json() for trace in traces])
            store.drop_checkpoint(cell.hash)
        tracker.finish(result, rows[:20], traces)
    release_memory()
    return result


def _check_finite(rows: list[dict[str, Any]]) -> None:
    """Raise DivergedError where a prediction carries a figure that JSON cannot hold."""
    try:
        json.dumps(rows, allow_nan=False)
    except ValueError:
        raise DivergedError("a figure of a prediction is not finite") from None


def _attempt(
    cell: Cell, context: TrialContext, tracker: Tracker, started: str, clock: float
) -> tuple[Evaluation, Result]:
    plan = resolve(cell)
    with PeakMemory(context.device) as peak:
        data = plan.task.prepare(plan, context.paths())
        _seed(cell.seed)  # whether data came from a cache must not show
        module = plan.task.module(plan, data)
        train_seconds = _train(plan, module, data, context, tracker)
        module = module.to(context.device).eval()
        with torch.inference_mode():
            evaluation = plan.task.evaluate(plan, module, data)
    curve = _curve(module)
    cost = Cost(
        parameters=count_parameters(module),
        attention_parameters=count_attention_parameters(module),
        train_seconds=round(train_seconds, 3),
        train_units_per_second=_ratio(getattr(module, "trained_units", 0), train_seconds),
        decode_per_second=_ratio(evaluation.decoded, evaluation.decode_seconds),
        peak_memory_bytes=peak.bytes,
        total_seconds=round(time.perf_counter() - clock, 3),
    )
    return evaluation, Result(
        hash=cell.hash,
        cell=cell.to_json(),
        status="done",
        metrics=dict(evaluation.metrics),
        primary=evaluation.primary,
        by_length=tuple(evaluation.by_length),
        alignment=evaluation.alignment,
        cost=cost,
        curve=curve,
        provenance=provenance(
            started=started,
            device=context.device,
            threads=context.threads,
            study=context.study,
            data_fingerprint=data.fingerprint,
            signatures=evaluation.signatures,
            notes=[*data.notes, *evaluation.notes],
        ),
    )


def _train(
    plan: Plan,
    module: pl.LightningModule,
    data: TaskData,
    context: TrialContext,
    tracker: Tracker,
) -> float:
    """Fit; returns the seconds it took, validation included."""
    settings = plan.settings
    served = data.datamodule(plan.cell.seed)
    callbacks: list[pl.Callback] = [_Follow(tracker)]
    checkpoints = _checkpoints(plan, data, context)
    earlier = 0.0
    # Others do not say where in their data they are, or what they count.
    if isinstance(served, StreamModule) and isinstance(module, TrainingModule):
        state = checkpoints.load()
        callbacks.append(Interruptible(checkpoints, context.asked, state))
        if state is not None:
            served.skip_training(state["step"])
            earlier = state["training"]["seconds"]
    with TemporaryDirectory(prefix="attnbench-") as scratch:
        trainer = pl.Trainer(
            accelerator="gpu" if context.device.startswith("cuda") else "cpu",
            devices=_device_indices(context.device),
            max_steps=settings.steps,
            precision="bf16-mixed" if settings.precision == "bf16" else "32-true",
            gradient_clip_val=settings.clip,
            val_check_interval=max(1, settings.steps // settings.validations),
            check_val_every_n_epoch=None,
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=callbacks,
            default_root_dir=scratch,
        )
        begun = time.perf_counter()
        trainer.fit(module, datamodule=served)
        return earlier + time.perf_counter() - begun


def _checkpoints(plan: Plan, data: TaskData, context: TrialContext) -> Checkpoints:
    # A cell's name leaves out defaults, and they, the code and the data may have changed since.
    depends_on = [
        bench.__version__,
        plan.settings.model_dump(mode="json"),
        plan.attention_options.model_dump(mode="json"),
        data.fingerprint,
    ]
    content = hashlib.sha256(json.dumps(depends_on, sort_keys=True).encode()).hexdigest()
    return Checkpoints(context.store(), plan.cell.hash, content, context.checkpoint_seconds)


class _Follow(pl.Callback):
    """Hands each point of the curve to the tracker when it appears."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker, self._sent = tracker, 0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        curve: list[Mapping[str, float]] = getattr(pl_module, "curve", [])
        for point in curve[self._sent :]:
            figures = {key: value for key, value in point.items() if math.isfinite(value)}
            self._tracker.log(int(point["step"]), figures)
        self._sent = len(curve)


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
    _seed(seed)
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


def _seed(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def _failed(cell: Cell, context: TrialContext, error: Exception, started: str) -> Result:
    message = str(error) or type(error).__name__
    return failed_trial(cell, context, _kind(error), message, started=started)


def _kind(error: Exception) -> str:
    if isinstance(error, UsageError):
        return UNUSABLE
    if isinstance(error, DivergedError):
        return "diverged"
    memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
    if memory or "not enough memory" in str(error) or "out of memory" in str(error).lower():
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


def _device_indices(device: str) -> list[int] | int:
    if not device.startswith("cuda"):
        return 1
    return [int(device.partition(":")[2] or 0)]

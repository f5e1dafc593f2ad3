"""One trial: a cell is trained, tested, measured and stored.

Needs neither Ray nor W&B to be imported: the same function runs in-process, in a warm Ray worker,
or as one of several ranks. A trial starts from a clean seed and leaves clean memory behind, so
its figures do not depend on who ran it or what ran there before.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import math
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch

from ablations.cancellation import Interrupted, RankFailed, RankLost
from ablations.fit import fit, seed_all
from ablations.trial_interface import (
    NO_HOOKS,
    OUT_OF_MEMORY,
    NotStoredError,
    TrialHooks,
    TrialOptions,
    failed_result,
    validation_figures,
)
from ablations.trial_progress import TrialProgress
from bench.errors import OtherData, UsageError, reason_of
from bench.hardware import (
    PeakMemory,
    count_attention_parameters,
    count_parameters,
    freeze_garbage_collection,
    release_memory,
)
from bench.macs import count_macs
from bench.store.cell import Cell
from bench.store.models import ModelHeader
from bench.store.result import Cost, Result, utc_now
from bench.store.store import Store
from bench.tracking import open_trackers
from tasks.base import Evaluation, Plan, TaskData
from tasks.kept_model import packed
from tasks.plan import resolve, with_data
from tasks.training.convergence import DECIMALS, Curve, best_validation, converged, out_of_patience
from tasks.training.module import DivergedError

#: `Failure.kind` of input the user must mend; `attnbench run` turns it into exit status 2.
UNUSABLE = "unusable input"


def run_trial(cell: Cell, options: TrialOptions, hooks: TrialHooks = NO_HOOKS) -> Result:
    """Train, test, measure and store one cell.

    What goes wrong in the cell becomes a failed result, which is stored like any other (a
    finished result of the same cell is never replaced by it).

    Raises:
        NotStoredError: the store cannot be written; it has the result.
        Interrupted: it was asked to stop. The next trial of this cell goes on from there.
        RankLost: the process of another rank died. The next trial goes on, too.
    """
    assert options.rank == 0, "other ranks call `run_rank`"
    started, clock = utc_now(), time.perf_counter()
    if not cell.data:  # planned by the caller's own code
        with contextlib.suppress(UsageError):  # the trial comes upon the same
            [cell], _ = with_data([cell], options.paths().data_root)
    store = options.store()
    folder = Path(options.cache) if store is None else store.scratch
    track = options.track, options.wandb
    with open_trackers(*track, cell, folder, options.study) as tracker:
        hooks = dataclasses.replace(hooks, tracker=tracker)
        try:
            with isolated_process_state(cell.seed, options):
                evaluation, result, model = _train_and_test(cell, options, hooks, started, clock)
            rows, traces = _finite_rows(evaluation), list(evaluation.traces)
        except (Interrupted, RankLost):
            release_memory()
            raise
        except Exception as error:
            kind, message = failure_kind(error), str(error) or type(error).__name__
            result = failed_result(cell, kind, message, started=started, options=options)
            rows, traces, model = [], [], None
        if store is not None:
            if result.status == "done":
                _keep_model(cell, model, store, hooks)
            try:
                store.put(result, rows, [trace.to_json() for trace in traces])
            except OSError as error:
                raise NotStoredError(result, error) from error
            store.drop_checkpoint(result.hash)
        tracker.finish(result, rows[:20], traces)
    if tracker.problem is not None:
        hooks.message(tracker.problem)
    release_memory()
    freeze_garbage_collection()
    return result


#: A trained model as a store keeps it.
Packed = tuple[ModelHeader, dict[str, torch.Tensor]]


def _keep_model(cell: Cell, model: Packed | None, store: Store, hooks: TrialHooks) -> None:
    """Keep the model of a trial in its store; without one, remove that of an earlier trial of the
    cell, which is not its result's any more. What goes wrong is said, the result is worth more."""
    try:
        if model is None:
            store.models.drop(cell)
        else:
            store.models.put(*model)
    except OSError as error:
        hooks.message(f"the model of {cell.hash[:12]} cannot be kept ({reason_of(error)})")


def run_rank(cell: Cell, options: TrialOptions, hooks: TrialHooks = NO_HOOKS) -> None:
    """Train a cell as a rank above 0; `run_trial` in the process of rank 0 does the rest.

    Raises:
        Exception: what went wrong; rank 0 makes a result of it.
        Interrupted: the trial was asked to stop.
    """
    try:
        with isolated_process_state(cell.seed, options):
            plan = resolve(cell)
            data = plan.task.prepare(plan, options.paths())
            seed_all(cell.seed)
            fit(plan, plan.task.module(plan, data), data, options, hooks)
    finally:
        release_memory()


@contextmanager
def isolated_process_state(seed: int, options: TrialOptions) -> Iterator[None]:
    """Isolate a trial from those before and after it: set threads, GPU memory limit, determinism
    and seeds on entry; restore determinism and Lightning's logger on exit."""
    torch.set_num_threads(options.threads)
    if options.device.startswith("cuda"):
        # What several trials on one GPU need too much fails alone, and by name.
        torch.cuda.set_per_process_memory_fraction(options.gpu_share)
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


def _finite_rows(evaluation: Evaluation) -> list[dict[str, Any]]:
    """The predictions as rows for the store. Raises DivergedError where one carries a figure that
    JSON cannot hold."""
    rows = [dataclasses.asdict(prediction) for prediction in evaluation.predictions]
    try:
        json.dumps(rows, allow_nan=False)
    except ValueError:
        raise DivergedError("a figure of a prediction is not finite") from None
    return rows


def _train_and_test(
    cell: Cell, options: TrialOptions, hooks: TrialHooks, started: str, clock: float
) -> tuple[Evaluation, Result, Packed | None]:
    plan = resolve(cell)
    with PeakMemory(options.device) as peak:
        hooks.progress(TrialProgress("preparing"))
        data = plan.task.prepare(plan, options.paths())
        core_clock = time.process_time()
        seed_all(cell.seed)  # whether data came from a cache must not show
        module = plan.task.module(plan, data)
        train_seconds = fit(plan, module, data, options, hooks)
        steps = plan.settings.max_steps
        hooks.progress(TrialProgress("testing", steps, steps))
        evaluation = _evaluate(plan, module, data, options)
    cost = Cost(
        parameters=count_parameters(module),
        attention_parameters=count_attention_parameters(module),
        train_seconds=round(train_seconds, 3),
        train_tokens_per_second=_ratio(getattr(module, "trained_units", 0), train_seconds),
        decode_examples_per_second=_ratio(evaluation.decoded, evaluation.decode_seconds),
        peak_memory_bytes=peak.bytes,
        macs_per_example=_macs_per_example(module, data, cell.seed) if options.tests else None,
        real_time_factor=_ratio(evaluation.decode_seconds, evaluation.sound_seconds, 5),
        core_seconds=_core_seconds(module, core_clock, options),
        total_seconds=round(time.perf_counter() - clock, 3),
    )
    together = [f"trained by {options.ranks} processes together"] if options.ranks > 1 else []
    curve = _curve(module)
    best = _best_point(plan, curve)
    result = Result(
        hash=cell.hash,
        cell_json=cell.to_json(),
        status="done",
        settings=plan.stated_settings,
        metrics=dict(evaluation.metrics),
        primary=evaluation.primary,
        by_length=tuple(evaluation.by_length),
        alignment=evaluation.alignment,
        cost=cost,
        curve=curve,
        converged=converged(curve),
        best_step=None if best is None else int(best["step"]),
        provenance=options.provenance(
            started,
            data_fingerprint=data.corpus.fingerprint,
            splits=data.corpus.identities,
            signatures=evaluation.signatures,
            notes=[
                *data.notes,
                *evaluation.notes,
                *_patience_notes(plan, curve),
                *together,
                *options.notes_of(cell),
            ],
        ),
    )
    model = None
    if options.keep_model is not None and options.tests:
        loss = result.tested_point.get("validation_loss")
        model = packed(plan, module, data, options.keep_model, loss)
    return evaluation, result, model


def _evaluate(
    plan: Plan, module: pl.LightningModule, data: TaskData, options: TrialOptions
) -> Evaluation:
    """Test a trained module; where there are no tests, take the validation loss of the parameters
    that would be tested."""
    if not options.tests:
        curve: list[dict[str, float]] = getattr(module, "curve")  # noqa: B009 - every task's module
        tested = _best_point(plan, curve) or curve[-1]
        figures = validation_figures(tested["validation_loss"], curve[-1]["step"])
        return Evaluation(predictions=(), **figures)
    module = module.to(options.device).eval()
    with torch.inference_mode():
        return plan.task.evaluate(plan, module, data)


def failure_kind(error: Exception) -> str:
    """`Failure.kind` of an exception that a trial raised."""
    if isinstance(error, RankFailed):
        return error.kind
    if isinstance(error, OtherData):
        return "other data"
    if isinstance(error, UsageError):
        return UNUSABLE
    if isinstance(error, DivergedError):
        return "diverged"
    memory = isinstance(error, MemoryError | torch.OutOfMemoryError)
    # The CPU's allocator has no exception of its own.
    signs = ("can't allocate memory", "not enough memory", "out of memory")
    if memory or any(words in str(error).lower() for words in signs):
        return OUT_OF_MEMORY
    return type(error).__name__


def _curve(module: Any) -> tuple[dict[str, float], ...]:
    return tuple(
        {key: round(float(value), DECIMALS) for key, value in point.items() if math.isfinite(value)}
        for point in getattr(module, "curve", [])
    )


def _best_point(plan: Plan, curve: Curve) -> Mapping[str, float] | None:
    """The validation whose parameters are tested; None where the last parameters are."""
    return curve[best_validation(curve)] if plan.settings.patience and curve else None


def _patience_notes(plan: Plan, curve: Curve) -> list[str]:
    settings, best = plan.settings, _best_point(plan, curve)
    if best is None:
        return []
    note = f"tested are the parameters of step {best['step']:g}: the lowest validation loss"
    if not out_of_patience(curve, settings.patience):
        return [note]
    ended = f"training stopped after step {curve[-1]['step']:g} of {settings.max_steps}"
    return [f"{ended} (patience={settings.patience})", note]


def _ratio(amount: float, seconds: float, digits: int = 2) -> float | None:
    return round(amount / seconds, digits) if seconds > 0 else None


def _core_seconds(module: pl.LightningModule, begun: float, options: TrialOptions) -> float | None:
    """Processor time since `begun`, and that of the training before it was interrupted; None on a
    GPU, and where several processes train together."""
    if options.device != "cpu" or options.ranks > 1:
        return None
    return round(time.process_time() - begun + getattr(module, "earlier_core_seconds", 0.0), 3)


def _macs_per_example(module: pl.LightningModule, data: TaskData, seed: int) -> float | None:
    """Count multiply-accumulates of an example: of the first batch of validation, which a tested
    module reads. None where the counter cannot follow an operation."""
    batch = next(iter(data.datamodule(seed).val_dataloader())).to(module.device)
    read: Any = module
    try:
        with torch.inference_mode():
            counted = count_macs(lambda: read.validation_sums(batch))
    except Exception:  # whatever the counter cannot follow: all of the trial but this is known
        return None
    return round(counted / len(batch.source), 1)

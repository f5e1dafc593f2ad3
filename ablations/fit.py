"""Fitting the module of a trial with Lightning, alone or as one of several ranks."""

from __future__ import annotations

import hashlib
import json
import math
import random
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

import bench
from ablations.checkpoint import Checkpoints, Interruptible
from ablations.distributed import TrialEnvironment, ddp_strategy, with_context
from ablations.trial_interface import TrialHooks, TrialOptions
from ablations.trial_progress import TrialProgress
from bench.errors import UsageError
from tasks.base import Plan, TaskData
from tasks.data.batching import StreamModule
from tasks.settings import Settings
from tasks.training.module import DistributedGroup, TrainingModule


def seed_all(seed: int) -> None:
    """Seed all generators that a trial may draw from."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def fit(
    plan: Plan,
    module: pl.LightningModule,
    data: TaskData,
    options: TrialOptions,
    hooks: TrialHooks,
) -> float:
    """Train a module; returns the seconds it took, validation included.

    Raises:
        UsageError: a task that several processes cannot train together.
        Interrupted: the trial was asked to stop.
        RankLost, RankFailed: something happened to another rank.
    """
    served = data.datamodule(plan.cell.seed)
    if plan.settings.patience and not isinstance(module, TrainingModule):
        raise UsageError(
            f"{plan.cell.task} trains for all of its steps", where="--set patience", remedy="set 0"
        )
    callbacks: list[pl.Callback] = [_ReportCurve(hooks), _ReportSteps(hooks)]
    earlier = 0.0
    guard = with_context(hooks) if options.ranks > 1 else nullcontext()
    with TemporaryDirectory(prefix="attnbench-") as scratch, guard:
        # Others do not say where in their data they are, or what they count.
        if isinstance(served, StreamModule) and isinstance(module, TrainingModule):
            if options.ranks > 1:
                _share(plan.cell.seed, module, served, options)
            store = options.store()
            if store is not None:  # without one there is nothing to go on from, and nobody asks
                content = _depends_on(plan, data, options)
                checkpoints = Checkpoints(
                    store, plan.cell.hash, content, options.checkpoint_seconds
                )
                state = module.group.broadcast(checkpoints.load() if options.rank == 0 else None)
                callbacks.append(Interruptible(checkpoints, hooks.asked_to_stop, state))
                if state is not None:
                    served.skip_training(state["step"])
                    earlier = state["ranks"][0]["training"]["seconds"]
        elif options.ranks > 1:
            raise UsageError(
                f"{plan.cell.task} is trained by one process only",
                where="--processes-per-trial, --gpus-per-trial",
            )
        trainer = _make_trainer(plan.settings, options, callbacks, scratch)
        begun = time.perf_counter()
        trainer.fit(module, datamodule=served)
        return earlier + time.perf_counter() - begun


def _share(seed: int, module: TrainingModule, served: StreamModule, options: TrialOptions) -> None:
    """Let this process do its part of what several train together."""
    module.group = DistributedGroup()
    served.share(options.rank, options.ranks)
    if options.rank:  # what is drawn in training is each rank's own; rank 0 draws as if alone
        seed_all(seed + 1_000_003 * options.rank)


def _make_trainer(
    settings: Settings, options: TrialOptions, callbacks: list[pl.Callback], scratch: str
) -> pl.Trainer:
    """Lightning's trainer, told to write nothing but below `scratch`."""
    kind, _, index = options.device.partition(":")
    return pl.Trainer(
        accelerator={"cuda": "gpu", "mps": "mps"}.get(kind, "cpu"),
        devices=[int(index or 0)] if kind == "cuda" else 1,
        num_nodes=options.ranks,
        strategy=ddp_strategy(options) if options.ranks > 1 else "auto",
        plugins=None if options.ranks > 1 else TrialEnvironment(),
        use_distributed_sampler=False,
        max_steps=settings.max_steps,
        precision="bf16-mixed" if settings.precision == "bf16" else "32-true",
        gradient_clip_val=settings.grad_clip_norm,
        val_check_interval=max(1, settings.max_steps // settings.num_validations),
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
        default_root_dir=scratch,
    )


def _depends_on(plan: Plan, data: TaskData, options: TrialOptions) -> str:
    """Digest of what a checkpoint of a cell must have been made with to be of use."""
    # A cell's name leaves out defaults, and they, the code and the data may have changed since.
    content = [
        bench.__version__,
        plan.settings.model_dump(mode="json"),
        plan.attention_options.model_dump(mode="json"),
        data.corpus.fingerprint,
        data.preparation,
        options.ranks,
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


class _ReportCurve(pl.Callback):
    """Hands each point of the curve to the hooks when it appears."""

    def __init__(self, hooks: TrialHooks) -> None:
        self._hooks = hooks
        self._sent, self._best = 0, math.inf

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        curve: list[Mapping[str, float]] = getattr(pl_module, "curve", [])
        for point in curve[self._sent :]:  # several where training goes on from a checkpoint
            figures = {key: value for key, value in point.items() if math.isfinite(value)}
            self._hooks.tracker.log(int(point["step"]), figures)
            self._best = min(self._best, figures.get("validation_loss", math.inf))
            self._hooks.report({**figures, "best_validation_loss": self._best})
        self._sent = len(curve)


class _ReportSteps(pl.Callback):
    """Tells the hooks now and then how far the training has come.

    Reading a loss waits for the device, so losses are read for reports alone.
    """

    def __init__(self, hooks: TrialHooks, clock: Callable[[], float] = time.monotonic) -> None:
        self._hooks, self._clock = hooks, clock
        self._told = self._begun = clock()
        self._first: int | None = None  # step, later than 0 where training goes on

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        now, step = self._clock(), trainer.global_step
        if self._first is None:  # which also loads kernels
            self._first, self._begun = step, now
        if now - self._told < self._hooks.progress_seconds:
            return
        self._told = now
        loss = float(outputs["loss"])
        rate = (step - self._first) / (now - self._begun) if now > self._begun else 0.0
        progress = TrialProgress(
            "training", step, trainer.max_steps, loss if math.isfinite(loss) else None, rate or None
        )
        self._hooks.progress(progress)

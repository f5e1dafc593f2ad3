"""Checkpoints of trials that are interrupted and continued, with the same result to the bit.

A checkpoint is all that the rest of the training depends on: parameters, optimizer, schedule,
random states, and what the module counts. The place in the data is the number of steps, since
the order of batches depends on the seed alone. Files are loaded with `weights_only`, so that no
code travels in them.
"""

from __future__ import annotations

import io
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from ablations.cancellation import Interrupted
from bench.store.store import Store
from tasks.training.module import TrainingModule

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoint of one trial, kept in its store so that any machine can continue.

    Attributes:
        hash: of the cell.
        depends_on: digest of what a checkpoint must have been made with to be of use.
        every: seconds of training between two of them.
    """

    store: Store
    hash: str
    depends_on: str
    every: float

    def save(self, state: dict[str, Any]) -> None:
        """Replace the stored state. Where the store cannot be written, log it and keep the state
        before: training need not end for it."""
        content = io.BytesIO()
        torch.save({**state, "depends_on": self.depends_on}, content)
        try:
            self.store.put_checkpoint(self.hash, content.getvalue())
        except OSError as error:
            _log.warning("no checkpoint of %s: %s", self.hash[:12], error)

    def load(self) -> dict[str, Any] | None:
        """The state that was saved last, or None where there is none that can be used."""
        content = self.store.checkpoint(self.hash)
        if content is None:
            return None
        try:
            file = io.BytesIO(content)
            state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
        except Exception:  # cut short, or of another version: the trial starts anew
            return None
        return state if state.get("depends_on") == self.depends_on else None


class Interruptible(pl.Callback):
    """Continues from a checkpoint, saves one at intervals, and stops with one when asked to.

    Saved is the state between two steps, after the validation that was due there. Of several
    ranks, the first decides and saves for all.

    Args:
        asked: whether to stop; called before every step, so it must be quick.
        state: what `Checkpoints.load` gave, the same on all ranks. The batches of `state["step"]`
            steps must be left out of the training data by the caller.
    """

    def __init__(
        self,
        checkpoints: Checkpoints,
        asked: Callable[[], bool],
        state: dict[str, Any] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checkpoints, self._asked, self._clock = checkpoints, asked, clock
        self._state = state
        self._saved = clock()

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._state is not None:
            _restore(self._state, trainer, pl_module)
            self._state = None
        self._saved = self._clock()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, TrainingModule)
        group = pl_module.group
        due = self._clock() - self._saved >= self._checkpoints.every
        stop, due = group.broadcast(torch.tensor([self._asked(), due])).tolist()
        if trainer.global_step and (stop or due):
            state = _state(trainer, pl_module)
            if group.rank == 0:
                self._checkpoints.save(state)
            self._saved = self._clock()
        if stop:
            raise Interrupted(f"stopped before step {trainer.global_step + 1}")


def _state(trainer: pl.Trainer, module: TrainingModule) -> dict[str, Any]:
    """Gather the checkpoint from all ranks; replicated state comes from rank 0."""
    own = module.group.gather({"training": module.training_state(), "random": random_state()})
    return {
        "step": trainer.global_step,
        "module": module.state_dict(),
        "optimizers": [optimizer.state_dict() for optimizer in trainer.optimizers],
        "schedules": [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs],
        "ranks": own,
    }


def _restore(state: dict[str, Any], trainer: pl.Trainer, module: pl.LightningModule) -> None:
    assert isinstance(module, TrainingModule)
    module.load_state_dict(state["module"])
    for optimizer, saved in zip(trainer.optimizers, state["optimizers"], strict=True):
        optimizer.load_state_dict(saved)
    for config, saved in zip(trainer.lr_scheduler_configs, state["schedules"], strict=True):
        config.scheduler.load_state_dict(saved)
    own = state["ranks"][module.group.rank]
    module.restore_training(own["training"])
    # What Lightning counts. Its own way of resuming assumes that epochs end, and runs the last
    # validation again.
    loop = trainer.fit_loop.epoch_loop
    steps = loop.automatic_optimization.optim_progress.optimizer.step
    for progress in (loop.batch_progress, steps):
        progress.total.ready = progress.total.completed = state["step"]
    restore_random_state(own["random"])


def random_state() -> dict[str, Any]:
    """The states of all generators a trial may draw from, as plain data and tensors."""
    version, numbers, gauss = random.getstate()
    name, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    assert name == "MT19937"
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [torch.from_numpy(np.array(keys, dtype=np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_initialized() else [],
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Set all generators to what `random_state` gave."""
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(state["cuda"])

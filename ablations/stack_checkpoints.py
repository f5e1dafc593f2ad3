"""Checkpoints of cells that are trained side by side: one for each, as its own trial would make it,
so that the cells of a stack that was interrupted go on one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from ablations.checkpoints import Checkpoints, Clock, random_state
from ablations.context import TrialContext
from ablations.fit import checkpoints_of
from ablations.interruption import Interrupted
from bench.stacking.fold import RandomState
from bench.stacking.stack import NotStackable
from tasks.base import Plan, TaskData
from tasks.datamodule import StreamModule
from tasks.stacked import StackedTraining
from tasks.training import StackableModule


@dataclass(frozen=True)
class Member:
    """One cell of a stack.

    Attributes:
        random: the states of all generators after its module was made.
        device: that it is trained on.
    """

    plan: Plan
    module: StackableModule
    served: StreamModule
    checkpoints: Checkpoints
    random: dict[str, Any]
    device: torch.device

    @classmethod
    def of(cls, plan: Plan, module: Any, data: TaskData, context: TrialContext) -> Member:
        """The member for a module that was just made.

        Raises:
            NotStackable: another kind of module or data, or a cell that has a checkpoint.
        """
        served = data.datamodule(plan.cell.seed)
        if not (isinstance(module, StackableModule) and isinstance(served, StreamModule)):
            raise NotStackable(f"{plan.cell.task} has a loss of its own kind")
        checkpoints = checkpoints_of(plan, data, context)
        if checkpoints.load() is not None:
            raise NotStackable(f"seed {plan.cell.seed} goes on from its checkpoint")
        device = torch.device(context.device)
        if device.type == "cuda":
            torch.cuda.init()  # or its generators are not among the states
        return cls(plan, module, served, checkpoints, random_state(), device)

    @property
    def draws(self) -> RandomState:
        """The state that the training draws from at first."""
        cuda = self.random["cuda"][self._place] if self.device.type == "cuda" else None
        return RandomState(self.random["torch"], cuda)

    def random_after(self, drawn: RandomState) -> dict[str, Any]:
        """The states of all generators when the training has drawn up to this state."""
        cuda = list(self.random["cuda"])
        if drawn.cuda is not None:
            cuda[self._place] = drawn.cuda
        return {**self.random, "torch": drawn.cpu, "cuda": cuda}

    @property
    def _place(self) -> int:
        """Of the device among its kind."""
        return self.device.index or 0


class StackInterruptible(pl.Callback):
    """Saves checkpoints of all cells now and then, and stops with them when asked to.

    Args:
        asked: whether to stop; called before every step, so it must be quick.
        every: seconds between two checkpoints.
    """

    def __init__(
        self,
        members: Sequence[Member],
        asked: Callable[[], bool],
        every: float,
        clock: Clock = time.monotonic,
    ) -> None:
        self._members, self._asked, self._every, self._clock = members, asked, every, clock
        self._saved = clock()

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, StackedTraining)
        stop = self._asked()
        if trainer.global_step and (stop or self._clock() - self._saved >= self._every):
            for place, member in enumerate(self._members):
                if place not in pl_module.diverged:
                    member.checkpoints.save(_state(trainer, pl_module, place, member))
            self._saved = self._clock()
        if stop:
            raise Interrupted(f"stopped before step {trainer.global_step + 1}")


def _state(
    trainer: pl.Trainer, training: StackedTraining, place: int, member: Member
) -> dict[str, Any]:
    """As `ablations.checkpoints` has it of a trial of its own."""
    random = member.random_after(training.draws.states[place])
    return {
        "step": trainer.global_step,
        "module": member.module.state_dict(),
        "optimisers": [_of_one(one.state_dict(), place) for one in trainer.optimizers],
        "schedules": [config.scheduler.state_dict() for config in trainer.lr_scheduler_configs],
        "ranks": [{"training": _share(member.module, len(training.alone)), "random": random}],
    }


def _share(module: StackableModule, count: int) -> dict[str, Any]:
    """What one of so many models trained together tells of itself: a share of the seconds."""
    told = module.training_state()
    curve = [{**point, "seconds": point["seconds"] / count} for point in told["curve"]]
    return {**told, "curve": curve, "seconds": told["seconds"] / count}


def _of_one(optimiser: dict[str, Any], place: int) -> dict[str, Any]:
    """The state of the optimiser that would train one model."""
    kept = {
        number: {
            name: value[place].clone() if isinstance(value, Tensor) and value.dim() else value
            for name, value in state.items()
        }
        for number, state in optimiser["state"].items()
    }
    return {**optimiser, "state": kept}

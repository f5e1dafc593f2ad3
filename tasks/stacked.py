"""Modules that differ in their seeds, trained as one batched model.

Each model draws, counts and is judged as if it were alone; what is shared is the pass through the
network, of parameters that are stacked. Losses and gradients agree with those of single models to
float tolerance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.stacking.fold import Draws, RandomState
from bench.stacking.stack import NotStackable, stack_models
from tasks.datamodule import Stream, StreamModule
from tasks.folding import fold_batches
from tasks.optimisation import optimiser_and_schedule
from tasks.training import DivergedError, StackableModule

#: How far losses of models together and alone may lie apart, by precision.
_TOLERANCES = {"32": 1e-4, "bf16": 1e-2}


class StackedTraining(pl.LightningModule):
    """Trains K modules of one shape, whose batches come as tuples of K.

    A module that diverges is left out of validations from then on; the others go on.

    Args:
        modules: on the device that they are trained on. They can be used on their own again when
            the training has ended, and are then what it has made of them.
        states: random states, where each module's own training would draw from next.

    Attributes:
        diverged: what was wrong with those that diverged, by place.
        draws: the modules' random states.

    Raises:
        NotStackable: modules with parts that cannot be trained together; in the first step, modules
            whose losses are others than alone.
    """

    def __init__(self, modules: Sequence[StackableModule], states: Sequence[RandomState]) -> None:
        super().__init__()
        stacked = stack_models(modules)
        assert isinstance(stacked.model, StackableModule)
        self.modules_alone = nn.ModuleList(modules)
        self.stacked, self.parameters_stacked = stacked.model, stacked.parameters
        self.settings = modules[0].settings
        self.diverged: dict[int, DivergedError] = {}
        self.draws = Draws(next(modules[0].parameters()).device, states)
        self._gradients = [gradient_of(one) for one in self.parameters_stacked]
        self._reached: set[int] = set()  # parameters that a pass backwards has reached
        self._watch(modules)

    def _watch(self, modules: Sequence[StackableModule]) -> None:
        # Hooks that held this module would keep it for ever: no collection sees what they hold.
        reached = self._reached
        learning = [[one for one in m.parameters() if one.requires_grad] for m in modules]
        for place, each in enumerate(zip(self.parameters_stacked, *learning, strict=True)):
            for parameter in each:
                parameter.register_post_accumulate_grad_hook(
                    lambda _, place=place: reached.add(place)
                )

    @property
    def alone(self) -> list[StackableModule]:
        """The modules."""
        return list(self.modules_alone)  # type: ignore[arg-type]

    def on_fit_start(self) -> None:
        for module in (self.stacked, *self.alone):
            module.trainer = self.trainer
            module.on_fit_start()

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        return batch if device.type == "cpu" else tuple(one.to(device) for one in batch)

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        if self.trainer.global_step == 0:
            self._check(batch)
        losses = self.losses(batch)
        for module, loss, one in zip(self.alone, losses, batch, strict=True):
            module.account(loss, one)
        return torch.stack(losses).sum()

    @torch.no_grad()
    def _check(self, batches: Sequence[Any]) -> None:
        """Raise NotStackable where the modules' losses on their first batches are others: code may
        use its parameters in ways that nobody thought of."""
        states = list(self.draws.states)
        alone = []
        for model, (module, batch) in enumerate(zip(self.alone, batches, strict=True)):
            with self.draws.of(model):
                alone.append(module.training_loss(batch))
        self.draws.states = list(states)
        together = self.losses(batches)
        self.draws.states = states
        tolerance = _TOLERANCES[self.settings.precision]
        pairs = torch.stack(together).float(), torch.stack(alone).float()
        if not torch.allclose(*pairs, rtol=tolerance, atol=0.0, equal_nan=True):
            raise NotStackable("the models' losses together are not those that they have alone")

    def losses(self, batches: Sequence[Any]) -> list[Tensor]:
        """The training losses of K modules on a batch each."""
        prepared = []
        for model, (module, batch) in enumerate(zip(self.alone, batches, strict=True)):
            with self.draws.of(model):
                prepared.append(module.prepared(batch))
        whole, fold = fold_batches(prepared, self.stacked.sizes_within, self.draws)
        with fold.in_force():
            outputs = self.stacked.outputs(whole)
        parts = zip(self.alone, outputs.by_model(fold), prepared, strict=True)
        return [module.loss_of(mine, batch) for module, mine, batch in parts]

    def configure_optimizers(self) -> Any:
        return optimiser_and_schedule(self.parameters_stacked, self.settings, stacked=True)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Zero all gradients, in place whatever is asked for: the modules' are views of them."""
        self._reached.clear()
        for parameter, gradient in zip(self.parameters_stacked, self._gradients, strict=True):
            parameter.grad = gradient.zero_()

    def optimizer_zero_grad(self, epoch: int, batch_idx: int, optimizer: Optimizer) -> None:
        self.zero_grad()

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        # To an optimiser no gradient and one of zeros are two things.
        for place, parameter in enumerate(self.parameters_stacked):
            if place not in self._reached:
                parameter.grad = None

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of each model's gradients, as `nn.utils.clip_grad_norm_` does."""
        if gradient_clip_val:
            gradients = [one.grad for one in self.parameters_stacked if one.grad is not None]
            clip_each(gradients, gradient_clip_val)

    def on_validation_epoch_start(self) -> None:
        for module in self.alone:
            module.on_validation_epoch_start()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        for model, (module, one) in enumerate(zip(self.alone, batch, strict=True)):
            if model not in self.diverged:
                module.validation_step(one, batch_idx)

    def on_validation_epoch_end(self) -> None:
        for model, module in enumerate(self.alone):
            if model not in self.diverged:
                try:
                    module.on_validation_epoch_end()
                except DivergedError as error:
                    self.diverged[model] = error
        if len(self.diverged) == len(self.alone):
            raise next(iter(self.diverged.values()))


class StackedStreams(pl.LightningDataModule):
    """Serves the batches of K streams as tuples of K."""

    def __init__(self, served: Sequence[StreamModule]) -> None:
        super().__init__()
        self._served = served

    def train_dataloader(self) -> Tuples:
        return Tuples([one.train_dataloader() for one in self._served])

    def val_dataloader(self) -> Tuples:
        return Tuples([one.val_dataloader() for one in self._served])


@dataclass(frozen=True)
class Tuples:
    """Several streams, gone through side by side, anew by every iteration."""

    streams: Sequence[Stream]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return zip(*self.streams, strict=True)


def gradient_of(parameter: nn.Parameter) -> Tensor:
    """Its gradient, which there is."""
    assert parameter.grad is not None
    return parameter.grad


def clip_each(gradients: Sequence[Tensor], largest: float) -> None:
    """Scale the gradients K,... of each of K models so that their norm is at most `largest`."""
    norms = torch.stack([one.flatten(1).norm(dim=1) for one in gradients]).norm(dim=0)  # K
    factors = (largest / (norms + 1e-6)).clamp(max=1.0)
    for one in gradients:
        one.mul_(factors.view(-1, *[1] * (one.dim() - 1)))

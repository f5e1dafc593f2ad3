"""What all task modules share as Lightning modules: optimiser, curve, divergence, counting."""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.models.base import ModelConfig
from bench.models.losses import Baseline
from tasks.settings import Settings
from tasks.training.distributed import Ranks, Share
from tasks.training.optimizer import optimiser_and_schedule


class DivergedError(ArithmeticError):
    """The training loss is no longer finite."""


class TrainingModule(pl.LightningModule):
    """Base of the task modules.

    Attributes:
        trained_units: target units trained on so far.
        curve: a point per validation: step, seconds, loss (mean since the point before),
            validation_loss, and what `validation_figures` adds.
        ranks: the processes that train this model together. Figures are of all of them, but for
            `trained_units` while training lasts.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.settings = settings
        self.ranks = Ranks()
        self.trained_units = 0
        self.curve: list[dict[str, float]] = []
        self._begun = 0.0
        # Losses are gathered as tensors: reading one waits for the device.
        self._losses: list[Tensor] = []
        self._validation: list[Tensor] = []
        self._baseline = Baseline.start()  # of mechanisms that sample

    @abstractmethod
    def training_loss(self, batch: Any) -> Tensor:
        """Mean loss of a batch."""

    @abstractmethod
    def validation_sums(self, batch: Any) -> Tensor:
        """Sums over a batch, the first entry the loss, the last its count; 1-dimensional."""

    def validation_figures(self, sums: Tensor) -> dict[str, float]:
        """Further figures for the curve from the sums over the whole validation set."""
        return {}

    @abstractmethod
    def count_units(self, batch: Any) -> int:
        """Target units of a batch, padding not counted."""

    def loss_weight(self, batch: Any) -> int:
        """How many things the loss of a batch is a mean over."""
        return self.count_units(batch)

    def transfer_batch_to_device(
        self, batch: Any, device: torch.device, dataloader_idx: int
    ) -> Any:
        if device.type == "cpu":
            return batch
        if isinstance(batch, Share):
            return replace(batch, batch=batch.batch.to(device))
        return batch.to(device)

    def on_fit_start(self) -> None:
        self._begun = time.perf_counter()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        mine, before = Share.of(batch), self._baseline
        weight = self.loss_weight(mine.batch) if mine.counts else 0
        loss = self.ranks.part(self.training_loss(mine.batch), weight)
        self._losses.append(loss.detach())
        if mine.counts:
            self.trained_units += self.count_units(mine.batch)
        if self._baseline is not before:
            values = self.ranks.mean(self._baseline.values)
            self._baseline = replace(self._baseline, values=values)
        # Lightning takes the mean of gradients over ranks, and the sum is what is wanted.
        return loss if self.ranks.count == 1 else loss * self.ranks.count

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of all gradients.

        Lightning refuses to with a fused optimiser in mixed precision, for fear of float16's
        scaled gradients. In bfloat16 none are scaled.
        """
        if gradient_clip_val:
            groups = optimizer.param_groups
            parameters = [parameter for group in groups for parameter in group["params"]]
            gradients = [one.grad for one in parameters if one.grad is not None]
            norm = nn.utils.get_total_norm(gradients)
            # PyTorch multiplies by 1 what is short enough, so as not to wait for a GPU's answer.
            if norm.device.type != "cpu" or not norm <= gradient_clip_val:
                nn.utils.clip_grads_with_norm_(parameters, gradient_clip_val, norm)

    def on_validation_epoch_start(self) -> None:
        self._validation = []

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        mine = Share.of(batch)
        sums = self.validation_sums(mine.batch)
        self._validation.append(sums if mine.counts else torch.zeros_like(sums))

    def on_validation_epoch_end(self) -> None:
        losses = self.ranks.total(torch.stack(self._losses)) if self._losses else None
        loss = math.nan if losses is None else float(losses.mean())
        self._losses = []
        sums = self.ranks.total(torch.stack(self._validation).sum(dim=0))
        for name, value in (("training", loss), ("validation", float(sums[0]))):
            if not math.isfinite(value):
                raise DivergedError(f"the {name} loss was {value} by step {self.global_step}")
        self.curve.append(
            {
                "step": float(self.global_step),
                "seconds": time.perf_counter() - self._begun,
                "loss": loss,
                "validation_loss": float(sums[0] / sums[-1]),
                **self.validation_figures(sums),
            }
        )

    def on_fit_end(self) -> None:
        self.trained_units = int(self.ranks.total(torch.tensor(self.trained_units)))

    def training_state(self) -> dict[str, Any]:
        """What training depends on besides parameters, as plain data and tensors."""
        return {
            "trained_units": self.trained_units,
            "curve": [dict(point) for point in self.curve],
            "seconds": time.perf_counter() - self._begun,
            "losses": [loss.cpu() for loss in self._losses],
            "baseline": self._baseline.values,
        }

    def restore_training(self, state: Mapping[str, Any]) -> None:
        """Go on from a `training_state`, in a fit that has begun."""
        self.trained_units = state["trained_units"]
        self.curve = [dict(point) for point in state["curve"]]
        self._begun = time.perf_counter() - state["seconds"]
        self._losses = [loss.to(self.device) for loss in state["losses"]]
        self._baseline = replace(self._baseline, values=state["baseline"])

    def configure_optimizers(self) -> Any:
        return optimiser_and_schedule(self.parameters(), self.settings)


# From a trial's settings to the sizes its model is built with.


def model_sizes(settings: Settings) -> ModelConfig:
    """The settings that `ModelConfig` has a field for; its defaults elsewhere."""
    names = {field.name for field in fields(ModelConfig)} & set(type(settings).model_fields)
    sizes = {name: getattr(settings, name) for name in names}
    return ModelConfig(**{**sizes, "attention_layers": _layers(settings)})


def _layers(settings: Settings) -> tuple[int, ...] | None:
    """`attention_layers` as `ModelConfig` has it."""
    match settings.attention_layers:
        case "all":
            return None
        case "last":
            return (settings.decoder_layers,)
        case text:
            return tuple(int(number) for number in text.split(","))

"""The base of all task modules: a Lightning module with the optimizer, the learning curve and the
state that a checkpoint needs besides parameters.

A subclass builds a model (`tasks.training.sequence`, `tasks.training.classifier`) and says what the
loss of a batch is.

In data-parallel training each rank trains on its share of every batch. Together the ranks compute
what one process computes on the whole batch: each rank's mean loss is weighted by the number of
units it is a mean over, and counts are summed. Random draws are each rank's own, so dropout and
sampled locations differ as they do between seeds.
"""

from __future__ import annotations

import math
import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from typing import Any, TypeVar

import pytorch_lightning as pl
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.optim import Optimizer

from bench.attention.base import AttentionOptions, Sampled
from bench.errors import unknown_name
from bench.models.base import ModelConfig
from bench.models.losses import Baseline, Penalty, attention_penalties, reinforce_loss
from tasks.data.batching import Share
from tasks.settings import Settings
from tasks.training.convergence import best_validation, out_of_patience

#: Decay rates of AdamW's averages, as Vaswani et al. (2017) set them.
BETAS = (0.9, 0.98)

Plain = TypeVar("Plain")


class ProcessGroup:
    """The ranks that train one model together: here, one process on its own."""

    rank = 0
    count = 1

    def weighted(self, loss: Tensor, count: int) -> Tensor:
        """This rank's term of the mean loss over the whole batch.

        Args:
            loss: mean loss over this rank's share.
            count: number of units it is a mean over.
        """
        return loss

    def sum(self, values: Tensor) -> Tensor:
        """Elementwise sum over all ranks."""
        return values

    def mean(self, values: Tensor) -> Tensor:
        """Elementwise mean over all ranks."""
        return values

    def broadcast(self, value: Plain) -> Plain:
        """The value that rank 0 passed: plain data or a tensor."""
        return value

    def gather(self, value: Plain) -> list[Plain]:
        """The values of all ranks in their order, on rank 0; an empty list on the others."""
        return [value]


class DistributedGroup(ProcessGroup):
    """torch's default process group, which must have gloo for CPU tensors.

    All ranks must call the same methods in the same order.
    """

    def __init__(self) -> None:
        self.rank, self.count = dist.get_rank(), dist.get_world_size()

    def weighted(self, loss: Tensor, count: int) -> Tensor:
        # Counts are summed on the host, where they are known, so as not to wait for the device.
        total = int(self.sum(torch.tensor(count)))
        return loss * (count / max(total, 1))

    def sum(self, values: Tensor) -> Tensor:
        values = values.clone()
        dist.all_reduce(values)
        return values

    def mean(self, values: Tensor) -> Tensor:
        return self.sum(values) / self.count

    def broadcast(self, value: Plain) -> Plain:
        if isinstance(value, Tensor):
            dist.broadcast(value, src=0)
            return value
        values = [value]
        dist.broadcast_object_list(values, src=0)
        return values[0]

    def gather(self, value: Plain) -> list[Plain]:
        values: list[Any] = [None] * self.count
        dist.gather_object(value, values if self.rank == 0 else None, dst=0)
        return values if self.rank == 0 else []


class DivergedError(ArithmeticError):
    """The training loss is no longer finite."""


class TrainingModule(pl.LightningModule):
    """Base of the task modules.

    Args:
        attention_options: read for the terms that the mechanism adds to the loss.
        groups: of the baseline of rewards: tokens or classes that a target unit may be.

    Attributes:
        trained_units: target units trained on so far.
        earlier_core_seconds: processor time of the training before it was interrupted.
        curve: one point per validation: step, seconds, loss (the mean since the last point),
            validation_loss, validation_accuracy.
        group: the ranks that train this model together. Figures cover all of them, except that
            `trained_units` is this rank's own until training ends.

    With `settings.patience`, rank 0 keeps the parameters that had the lowest validation loss, and
    has them when training ends.
    """

    def __init__(
        self, settings: Settings, attention_options: AttentionOptions | None = None, groups: int = 1
    ) -> None:
        super().__init__()
        self.settings = settings
        self.attention_options = attention_options or AttentionOptions()
        self.group = ProcessGroup()
        self.trained_units = 0
        self.curve: list[dict[str, float]] = []
        self.earlier_core_seconds = 0.0
        self._started, self._core_started = 0.0, 0.0
        # Losses stay tensors until they are asked for: reading one waits for the device.
        self._losses: list[Tensor] = []
        self._validation: list[Tensor] = []
        self._best: dict[str, Tensor] | None = None  # on the CPU
        # Of REINFORCE, for mechanisms that sample. It starts at the reward of knowing nothing.
        decay = getattr(attention_options, "baseline_decay", 0.9)
        self._baseline = Baseline.start(-math.log(groups), decay, groups=groups)

    @abstractmethod
    def training_loss(self, batch: Any) -> Tensor:
        """Mean loss of a batch."""

    @abstractmethod
    def validation_sums(self, batch: Any) -> Tensor:
        """3 sums over a batch: the loss, the units that are right, and the number of units."""

    def count_units(self, batch: Any) -> int:
        """Number of target units of a batch, without padding."""
        return batch.units

    def loss_weight(self, batch: Any) -> int:
        """Number of units that the loss of a batch is a mean over."""
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
        self._started, self._core_started = time.perf_counter(), time.process_time()

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        share, baseline = Share.of(batch), self._baseline
        weight = self.loss_weight(share.batch) if share.counts else 0
        loss = self.group.weighted(self.training_loss(share.batch), weight)
        self._losses.append(loss.detach())
        if share.counts:
            self.trained_units += self.count_units(share.batch)
        if self._baseline is not baseline:  # the loss has updated it
            values = self.group.mean(self._baseline.values)
            self._baseline = replace(self._baseline, values=values)
        # Lightning averages gradients over ranks; the weighted losses are to be summed.
        return loss if self.group.count == 1 else loss * self.group.count

    def configure_gradient_clipping(
        self,
        optimizer: Optimizer,
        gradient_clip_val: int | float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the norm of all gradients.

        Lightning refuses to clip with a fused optimizer in mixed precision, since gradients in
        float16 are scaled. In bfloat16 they are not.
        """
        if gradient_clip_val:
            groups = optimizer.param_groups
            parameters = [parameter for group in groups for parameter in group["params"]]
            gradients = [each.grad for each in parameters if each.grad is not None]
            norm = nn.utils.get_total_norm(gradients)
            # On a GPU reading the norm would wait for it, so gradients are scaled in any case (by 1
            # where they are short enough).
            if norm.device.type != "cpu" or not norm <= gradient_clip_val:
                nn.utils.clip_grads_with_norm_(parameters, gradient_clip_val, norm)

    def on_validation_epoch_start(self) -> None:
        self._validation = []

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        share = Share.of(batch)
        sums = self.validation_sums(share.batch)
        self._validation.append(sums if share.counts else torch.zeros_like(sums))

    def on_validation_epoch_end(self) -> None:
        losses = self.group.sum(torch.stack(self._losses)) if self._losses else None
        loss = math.nan if losses is None else float(losses.mean())
        self._losses = []
        sums = self.group.sum(torch.stack(self._validation).sum(dim=0))
        for name, value in (("training", loss), ("validation", float(sums[0]))):
            if not math.isfinite(value):
                raise DivergedError(f"the {name} loss was {value} by step {self.global_step}")
        self.curve.append(
            {
                "step": float(self.global_step),
                "seconds": time.perf_counter() - self._started,
                "loss": loss,
                "validation_loss": float(sums[0] / sums[2]),
                "validation_accuracy": float(sums[1] / sums[2]),
            }
        )
        if self.settings.patience:
            self._heed_validation()

    def _heed_validation(self) -> None:
        """Keep the parameters if the last validation was the best one; stop when out of
        patience."""
        if self.group.rank == 0 and best_validation(self.curve) == len(self.curve) - 1:
            self._best = {
                name: value.detach().to("cpu", copy=True)
                for name, value in self.state_dict().items()
            }
        stop = torch.tensor(out_of_patience(self.curve, self.settings.patience))
        self.trainer.should_stop = bool(self.group.broadcast(stop))

    def on_fit_end(self) -> None:
        self.trained_units = int(self.group.sum(torch.tensor(self.trained_units)))
        if self._best is not None:
            self.load_state_dict(self._best)
            self._best = None

    def training_state(self) -> dict[str, Any]:
        """State of training besides parameters and optimizer, as plain data and tensors."""
        return {
            "trained_units": self.trained_units,
            "curve": [dict(point) for point in self.curve],
            "seconds": time.perf_counter() - self._started,
            "core_seconds": time.process_time() - self._core_started + self.earlier_core_seconds,
            "losses": [loss.cpu() for loss in self._losses],
            "baseline": self._baseline.values,
            "best": self._best,
        }

    def restore_training(self, state: Mapping[str, Any]) -> None:
        """Continue from a `training_state`; call it after `on_fit_start`."""
        self.trained_units = state["trained_units"]
        self.curve = [dict(point) for point in state["curve"]]
        self._started = time.perf_counter() - state["seconds"]
        self.earlier_core_seconds = state["core_seconds"]
        self._losses = [loss.to(self.device) for loss in state["losses"]]
        self._baseline = replace(self._baseline, values=state["baseline"])
        self._best = state["best"]

    def configure_optimizers(self) -> Any:
        """AdamW with a per-step learning rate, in the form that Lightning takes.

        Vectors (biases, norms) are not decayed. The fused kernel runs on CPU and CUDA.
        """
        settings = self.settings
        trainable = [p for p in self.parameters() if p.requires_grad]
        matrices = [p for p in trainable if p.dim() > 1]
        vectors = [p for p in trainable if p.dim() <= 1]
        optimizer = torch.optim.AdamW(
            [
                {"params": matrices, "weight_decay": settings.weight_decay},
                {"params": vectors, "weight_decay": 0.0},
            ],
            lr=settings.learning_rate,
            betas=BETAS,
            eps=1e-8,
            fused=True,
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate_factor(settings))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def penalties(self, *, of_units: bool = True) -> list[tuple[float, Penalty]]:
        """The penalties on attention that count in the step to come, with their weights; `of_units`
        says whether the loss is a mean over target units or over examples."""
        done = self.global_step / self.settings.max_steps
        return attention_penalties(self.attention_options, done, of_units=of_units)

    def taught_weights(self, weights: Tensor | None, parts: Mapping[str, Tensor]) -> Tensor:
        """The weights that gold alignments train: those of `settings.gold_head`.

        Raises:
            UsageError: there is no head of that name.
        """
        assert weights is not None
        name = self.settings.gold_head
        if name == "mean":
            return weights
        if name not in parts:
            raise unknown_name("head", name, ["mean", *parts], where="--set gold_head")
        return parts[name]

    def _reinforce(
        self, sampled: Sampled, reward: Tensor, mask: Tensor, groups: Tensor, **options: float
    ) -> Tensor:
        """REINFORCE for the sampled locations (Xu 2015, equation 11), which updates the baseline.

        Args:
            options: in place of the mechanism's own.
        """
        names = {"reinforce_weight", "entropy_weight", "discount"}
        chosen = {**self.attention_options.model_dump(include=names), **options}
        loss, self._baseline = reinforce_loss(
            sampled, reward, mask, self._baseline, groups=groups, **chosen
        )
        return loss


def learning_rate_factor(settings: Settings) -> Callable[[int], float]:
    """The learning rate at a step counted from 0, as a fraction of its peak: linear warm-up, then
    `settings.schedule`."""
    warmup = max(1, round(settings.warmup_fraction * settings.max_steps))
    rest = max(1, settings.max_steps - warmup)

    def at(step: int) -> float:
        if step < warmup:
            return (step + 1) / (warmup + 1)
        done = min(1.0, (step - warmup) / rest)
        if settings.schedule == "linear":
            return 1.0 - done
        if settings.schedule == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * done))
        if settings.schedule == "inverse-sqrt":
            return math.sqrt(warmup / (step + 1))
        return 1.0

    return at


def model_sizes(settings: Settings) -> ModelConfig:
    """Sizes of a trial's model: the settings of the same names, defaults for the rest."""
    names = {field.name for field in fields(ModelConfig)} & set(type(settings).model_fields)
    sizes = {name: getattr(settings, name) for name in names}
    match settings.attention_layers:
        case "all":
            layers: tuple[int, ...] | None = None
        case "last":
            layers = (settings.decoder_layers,)
        case text:
            layers = tuple(map(int, text.split(",")))
    return ModelConfig(**{**sizes, "attention_layers": layers})

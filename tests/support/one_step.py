"""A task's model after one step of training, for tests that need one that can do something."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch

from tasks.base import Evaluation, Plan, Task, TaskData


def trained(
    task: type[Task],
    plan: Plan,
    data: TaskData,
    parts: Sequence[str] = ("encoder", "decoder", "head"),
) -> Any:
    """The module, ready for evaluation. The step must have a finite loss and change each of
    `parts`."""
    torch.manual_seed(1)
    module: Any = task.module(plan, data)
    batch = next(iter(data.datamodule(1).train_dataloader()))
    before = {name: value.detach().clone() for name, value in module.named_parameters()}
    optimizer = module.configure_optimizers()["optimizer"]
    loss = module.training_loss(batch)
    loss.backward()
    assert math.isfinite(loss.item())
    optimizer.step()
    changed = [name for name, value in module.named_parameters() if (value != before[name]).any()]
    for part in parts:
        assert any(name.startswith(part) for name in changed), part
    return module.eval()


def evaluated(
    task: type[Task],
    plan: Plan,
    data: TaskData,
    parts: Sequence[str] = ("encoder", "decoder", "head"),
) -> Evaluation:
    """What testing that module gives."""
    module = trained(task, plan, data, parts)
    with torch.inference_mode():
        return task.evaluate(plan, module, data)

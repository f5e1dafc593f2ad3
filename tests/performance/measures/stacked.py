"""Seeds side by side: training them as one batched model (`--stack-seeds`) against one by one.

Whole steps: forward, backward, clipping, optimiser, on the batches that the seeds would have alone.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from ablations.fit import seed_all
from bench.cell import Cell
from bench.stacking.fold import random_state
from measures.figure import Figure, one_core
from tasks.base import Paths, Plan, TaskData
from tasks.plan import make_cell, resolve
from tasks.stacked import StackedTraining
from tasks.training import StackableModule

SEEDS = 5
STEPS, SKIPPED, ROUNDS = 6, 20, 3
#: Steps whose batches are counted for their padding; that takes no training.
COUNTED = 100
CELLS = (
    ("translation", "soft", "concat", "laptop"),
    ("translation", "global", "general", "laptop"),
    ("translation", "none", "none", "laptop"),
    ("translation", "self", "scaled-dot", "laptop"),
    ("entailment", "soft", "concat", "laptop"),
    ("summarization", "soft", "concat", "laptop"),
    ("speech", "soft", "location-aware", "laptop"),
    ("captioning", "soft", "concat", "laptop"),
    ("translation", "soft", "concat", "smoke"),
    ("speech", "soft", "location-aware", "smoke"),
)


def measure() -> list[Figure]:
    """Gains on one core, and how much a common shape pads."""
    one_core()
    with TemporaryDirectory() as cache:
        gains = [gain(names, Path(cache), "cpu", time.process_time) for names in CELLS]
        return [*gains, padding(make_cell(*CELLS[0][:3]), Path(cache))]


def gain(
    names: tuple[str, str, str, str], cache: Path, device: str, clock: Callable[[], float]
) -> Figure:
    """Throughput of the stack over that of its models one by one.

    Args:
        names: task, attention, score and budget.
        clock: seconds; waits for the device if it has to be waited for.
    """
    task, attention, score, budget = names
    plan, data = prepared(make_cell(task, attention, score, budget=budget), cache)
    steps = [
        [batch.to(device) for batch in step]
        for step in itertools.islice(zip(*streams(data), strict=True), SKIPPED, SKIPPED + STEPS)
    ]
    ways = (one_by_one(plan, data, device), side_by_side(plan, data, device))
    for train in ways:
        train(steps[:1])
    rounds = [[_seconds(partial(train, steps), clock) for train in ways] for _ in range(ROUNDS)]
    alone, stacked = (min(times) for times in zip(*rounds, strict=True))
    name = f"{SEEDS} seeds side by side, {budget}, {task} {attention}+{score}"
    return Figure(name, alone / stacked, "times", "throughput of --stack-seeds over one by one")


def prepared(cell: Cell, cache: Path) -> tuple[Plan, TaskData]:
    plan = resolve(cell)
    return plan, plan.task.prepare(plan, Paths(None, cache))


def streams(data: TaskData) -> list[Any]:
    """The training batches of each seed."""
    return [data.datamodule(seed).train_dataloader() for seed in range(1, SEEDS + 1)]


def modules(plan: Plan, data: TaskData, device: str) -> tuple[list[StackableModule], list[Any]]:
    """The modules of all seeds, and the random states that they go on from."""
    made, states = [], []
    for seed in range(1, SEEDS + 1):
        seed_all(seed)
        module = plan.task.module(plan, data)
        assert isinstance(module, StackableModule)
        made.append(module.to(device).train())
        states.append(random_state(torch.device(device)))
    return made, states


def one_by_one(plan: Plan, data: TaskData, device: str) -> Callable[[Sequence[Any]], None]:
    """Trains a model for each seed on its batches, as trials do."""
    made, _ = modules(plan, data, device)
    optimisers = [module.configure_optimizers()["optimizer"] for module in made]

    def train(steps: Sequence[Any]) -> None:
        for batches in steps:
            for module, optimiser, batch in zip(made, optimisers, batches, strict=True):
                optimiser.zero_grad()
                module.training_loss(batch).backward()
                nn.utils.clip_grad_norm_(module.parameters(), module.settings.clip)
                optimiser.step()

    return train


def side_by_side(plan: Plan, data: TaskData, device: str) -> Callable[[Sequence[Any]], None]:
    """Trains the models of all seeds as one."""
    training = StackedTraining(*modules(plan, data, device)).train()
    optimiser = training.configure_optimizers()["optimizer"]

    def train(steps: Sequence[Any]) -> None:
        for batches in steps:
            training.zero_grad()
            torch.stack(training.losses(batches)).sum().backward()
            training.configure_gradient_clipping(optimiser, training.settings.clip)
            optimiser.step()

    return train


def padding(cell: Cell, cache: Path) -> Figure:
    """Target positions if each step's batches of all seeds are padded to one shape, over those
    of the batches as they are."""
    _, data = prepared(cell, cache)
    steps = itertools.islice(zip(*streams(data), strict=True), COUNTED)
    shapes = np.array([[batch.outputs.shape for batch in step] for step in steps])  # steps,K,(B,T)
    own = shapes.prod(axis=2).sum()
    padded = SEEDS * shapes.max(axis=1).prod(axis=1).sum()
    return Figure(
        f"{SEEDS} seeds side by side, positions when padded to one shape",
        float(padded / own),
        "x",
        "target positions over those of the seeds' own batches; less is better",
    )


def _seconds(action: Callable[[], object], clock: Callable[[], float]) -> float:
    begun = clock()
    action()
    return clock() - begun

"""Seeds side by side: what training them as one batched model could gain at most, on one core.

Measured is one model that reads the examples of all seeds' batches in one step, against a step
for each seed's batch. It has as many operations as a stacked model, larger or equal products, and
one set of parameters to update instead of one for each seed: a stacked model of the same
operations on the same padding is no faster. docs/stacked-seeds.md says what follows.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import nn

from bench.cell import Cell
from measures.figure import Figure, core_seconds, one_core
from tasks.base import Paths
from tasks.datamodule import Stream
from tasks.plan import make_cell, resolve
from tasks.training import TrainingModule

SEEDS = 5
STEPS, ROUNDS = 6, 3
#: Steps whose batches are counted for their padding; that takes no training.
COUNTED = 100
#: The last has one of the largest bounds in docs/stacked-seeds.md.
CELLS = (
    ("translation", "soft", "concat"),
    ("translation", "global", "general"),
    ("translation", "none", "none"),
    ("summarization", "soft", "concat"),
)


def measure() -> list[Figure]:
    """The bounds of some `laptop` cells, and how much a common shape would pad."""
    one_core()
    with TemporaryDirectory() as cache:
        cells = [make_cell(*names) for names in CELLS]
        bounds = [figure for cell in cells for figure in gains(cell, Path(cache))]
        return [*bounds, padding(cells[0], Path(cache))]


def gains(cell: Cell, cache: Path) -> list[Figure]:
    """Throughput of all seeds in one step over that of one by one: with each seed's own batches,
    and as if the batches of all seeds had the shape of the first one's."""
    module, streams = made(cell, cache)
    steps = steps_of(streams, STEPS)
    make = streams[0].make
    own = [make(indices) for step in steps for indices in step]
    joined = [make(np.concatenate(step)) for step in steps]
    first = [make(step[0]) for step in steps]
    tiled = [make(np.tile(step[0], SEEDS)) for step in steps]
    seconds = _fastest(training(module), (own, joined, first, tiled))
    name = f"{SEEDS} seeds side by side at most, {cell.task} {cell.attention}+{cell.score}"
    return [
        Figure(
            name, seconds[0] / seconds[1], "times", "examples of all seeds padded to one length"
        ),
        Figure(
            f"{name}, were batches alike",
            SEEDS * seconds[2] / seconds[3],
            "times",
            "every seed's batches in the shapes of the first one's",
        ),
    ]


def padding(cell: Cell, cache: Path) -> Figure:
    """Target positions if each step's batches of all seeds are padded to one shape, over those
    of the batches as they are."""
    _, streams = made(cell, cache)
    shapes = np.array(
        [
            [streams[0].make(indices).outputs.shape for indices in step]
            for step in steps_of(streams, COUNTED)
        ]
    )  # steps, seeds, (B,T)
    own = shapes.prod(axis=2).sum()
    padded = SEEDS * shapes.max(axis=1).prod(axis=1).sum()
    return Figure(
        f"{SEEDS} seeds side by side, positions if padded to one shape",
        float(padded / own),
        "x",
        "target positions over those of the seeds' own batches; less is better",
    )


def made(cell: Cell, cache: Path) -> tuple[TrainingModule, list[Stream]]:
    """The module of a cell, and the training batches of each seed."""
    plan = resolve(cell)
    data = plan.task.prepare(plan, Paths(None, cache))
    torch.manual_seed(cell.seed)
    module = plan.task.module(plan, data)
    assert isinstance(module, TrainingModule)
    streams = [data.datamodule(seed).train_dataloader() for seed in range(1, SEEDS + 1)]
    return module.train(), streams


def steps_of(streams: Sequence[Stream], count: int) -> list[tuple[np.ndarray, ...]]:
    """The examples of every seed's batch, step by step."""
    return list(itertools.islice(zip(*(stream.order for stream in streams), strict=True), count))


def training(module: TrainingModule) -> Callable[[Sequence[Any]], None]:
    """Trains on some batches as a trial does."""
    optimiser = module.configure_optimizers()["optimizer"]

    def train(batches: Sequence[Any]) -> None:
        for batch in batches:
            optimiser.zero_grad()
            module.training_loss(batch).backward()
            nn.utils.clip_grad_norm_(module.parameters(), module.settings.clip)
            optimiser.step()

    return train


def _fastest(
    train: Callable[[Sequence[Any]], None], kinds: Sequence[Sequence[Any]]
) -> tuple[float, ...]:
    """Seconds of the core for the batches of each kind: the least of several rounds, in which
    they take turns."""
    for batches in kinds:
        train(batches[:1])
    rounds = [[core_seconds(partial(train, batches)) for batches in kinds] for _ in range(ROUNDS)]
    return tuple(min(times) for times in zip(*rounds, strict=True))

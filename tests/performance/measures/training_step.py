"""Target tokens per second over whole training steps, as Lightning takes them in a trial."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from tempfile import TemporaryDirectory
from typing import Any, Literal

import numpy as np
import pytorch_lightning as pl
import torch

from bench.attention.registries import NO_SCORE, attentions, score_of
from measures.figure import Figure, one_core
from measures.models import make
from measures.sentences import batches, described, pairs, spread
from tasks.data.batching import Batch, Stream
from tasks.training.sequence import GenerationModule

STEPS, WARM = 25, 2


class _Clock(pl.Callback):
    """The time at the start of every step: of the core, or of the clock if a GPU works."""

    def __init__(self, device: str) -> None:
        self._gpu = device != "cpu"
        self.read: list[float] = []

    def on_train_batch_start(self, *_: Any) -> None:
        self._read()

    def on_train_end(self, *_: Any) -> None:
        self._read()

    def _read(self) -> None:
        if self._gpu:
            torch.cuda.synchronize()
        self.read.append(time.perf_counter() if self._gpu else time.process_time())


def train(
    module: GenerationModule,
    data: Sequence[Batch],
    *,
    device: str = "cpu",
    precision: Literal["32-true", "bf16-mixed"] = "32-true",
) -> list[float]:
    """Train one step a batch; returns the seconds of each: of the core, or of the clock on a
    GPU."""
    clock = _Clock(device)
    with TemporaryDirectory(prefix="attnbench-") as scratch:
        trainer = pl.Trainer(
            accelerator="cpu" if device == "cpu" else "gpu",
            devices=1,
            precision=precision,
            max_steps=len(data),
            gradient_clip_val=module.settings.grad_clip_norm,
            limit_val_batches=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            callbacks=[clock],
            default_root_dir=scratch,
        )
        served = Stream(lambda place: data[int(place[0])], np.arange(len(data))[:, None])
        trainer.fit(module, train_dataloaders=served)
    return [after - before for before, after in zip(clock.read, clock.read[1:], strict=False)]


def measured() -> list[tuple[str, str | None, bool]]:
    """Attention, score and input feeding of the rows: those that have peers, then all others."""
    peers: list[tuple[str, str | None, bool]] = [
        ("soft", "concat", False),
        ("global", "general", True),
        ("global", "general", False),
    ]
    others = [name for name in attentions.names() if name not in ("soft", "global")]
    return peers + [(name, None, False) for name in others]


def name_of(attention: str, score: str | None, feeding: bool) -> str:
    kind = attentions.get(attention)
    chosen = score_of(kind, score)
    scored = attention if chosen == NO_SCORE else f"{attention} + {chosen}"
    return f"{scored}, input feeding" if feeding else scored


def measure() -> list[Figure]:
    one_core()
    data = batches(pairs()[0])
    chosen = [*spread(data, WARM), *spread(data, STEPS)]
    figures = []
    for attention, score, feeding in measured():
        seconds = train(make(attention, score, input_feeding=feeding), chosen)
        timed = list(zip(chosen, seconds, strict=True))[WARM:]
        rate = statistics.median(batch.units / taken for batch, taken in timed)
        name = f"train: {name_of(attention, score, feeding)}"
        figures.append(Figure(name, rate, "target tokens/s", described()))
    return figures

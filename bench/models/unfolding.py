"""The single models' parts of what several models have made together."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from bench.attention.memory import Memory
from bench.models.base import Decoded
from bench.models.reading import Reading
from bench.stacking.fold import Fold


def memories_of(memory: Memory, fold: Fold) -> list[Memory]:
    """Rows and positions of each model."""
    parts = zip(
        fold.parts(memory.states),
        fold.parts(memory.mask),
        fold.parts(memory.summary, positions=0),
        _parts(memory.values, fold),
        _parts(memory.segments, fold),
        strict=True,
    )
    return [Memory(*part, grid=memory.grid) for part in parts]


def decoded_of(decoded: Decoded, fold: Fold) -> list[Decoded]:
    """Rows and steps of each model; without `Decoded.parts`, which are of no use in training."""
    assert decoded.sampled is None, "models that sample are not stacked"
    parts = zip(
        fold.parts(decoded.features),
        _parts(decoded.weights, fold, positions=2),
        _parts(decoded.contexts, fold),
        _parts(decoded.hidden, fold),
        strict=True,
    )
    return [
        Decoded(features, weights, contexts=contexts, hidden=hidden)
        for features, weights, contexts, hidden in parts
    ]


def readings_of(reading: Reading, fold: Fold) -> list[Reading]:
    """As `decoded_of`."""
    assert reading.sampled is None, "models that sample are not stacked"
    parts = zip(
        fold.parts(reading.states),
        fold.parts(reading.contexts),
        fold.parts(reading.mask),
        fold.parts(reading.steps),
        _parts(reading.weights, fold, positions=2),
        strict=True,
    )
    return [Reading(*part) for part in parts]


def _parts(tensor: Tensor | None, fold: Fold, positions: int = 1) -> Sequence[Tensor | None]:
    return [None] * fold.count if tensor is None else fold.parts(tensor, positions)

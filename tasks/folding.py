"""Batches of several models laid into one, as `bench.stacking.fold` has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.stacking.fold import Draws, Fold
from tasks.tensors import TensorBatch

SomeBatch = TypeVar("SomeBatch", bound=TensorBatch)
#: Name of an axis and a length to all lengths that such sequences have within the network.
SizesWithin = Callable[[str, int], Sequence[int]]
#: The axes that count steps of the target.
_STEPS = "T"


def fold_batches(
    batches: Sequence[SomeBatch], sizes_within: SizesWithin, draws: Draws
) -> tuple[SomeBatch, Fold]:
    """K batches as one, and how to tell them apart.

    Shorter ones are padded with zeros, smaller ones with rows that repeat their first. Padded sizes
    of rows differ from each other, and so do those of sequences, if need be by one more of padding.
    """
    first = batches[0]
    own = _own_sizes(batches)
    rows_of = {names[0] for name, names in first.axes.items() if _tensor(first, name) is not None}
    rows, padded = _told_apart(
        {name: own[name] for name in sorted(rows_of)}, lambda _, size: [size]
    )
    sequences = {name: sizes for name, sizes in own.items() if name not in rows_of}
    lengths, further = _told_apart(sequences, sizes_within)
    padded |= further
    folded = {
        name: _folded(
            [vars(batch)[name] for batch in batches], names, padded, first.places.get(name)
        )
        for name, names in first.axes.items()
        if _tensor(first, name) is not None
    }
    return replace(first, **folded), Fold(len(batches), rows, lengths, own[_STEPS], draws)


def _tensor(batch: TensorBatch, name: str) -> Tensor | None:
    found: Any = vars(batch)[name]
    return found if isinstance(found, Tensor) else None


def _own_sizes(batches: Sequence[TensorBatch]) -> dict[str, tuple[int, ...]]:
    """The K sizes of every axis, by its name."""
    found: dict[str, tuple[int, ...]] = {}
    for name, names in batches[0].axes.items():
        tensors = [_tensor(batch, name) for batch in batches]
        for dimension, axis in enumerate(names):
            if None not in tensors:
                sizes = tuple(one.shape[dimension] for one in tensors if one is not None)
                assert found.setdefault(axis, sizes) == sizes, (
                    f"{name} has other {axis} than the rest"
                )
    return found


def _told_apart(
    own: Mapping[str, tuple[int, ...]], within: SizesWithin
) -> tuple[dict[int, tuple[int, ...]], dict[str, int]]:
    """Padded to own sizes, over all axes and what they become in the network; and the padded size
    of each axis."""
    apart: dict[int, tuple[int, ...]] = {}
    padded: dict[str, int] = {}
    for axis, sizes in own.items():
        size = max(sizes)
        while True:
            every = [tuple(within(axis, one)) for one in (size, *sizes)]
            here = {one[0]: tuple(one[1:]) for one in zip(*every, strict=True)}
            if all(apart.get(one, mine) == mine for one, mine in here.items()):
                break
            size += 1
        apart |= here
        padded[axis] = size
    return apart, padded


def _folded(
    tensors: Sequence[Tensor], names: tuple[str, ...], padded: Mapping[str, int], places: str | None
) -> Tensor:
    parts = []
    for model, tensor in enumerate(tensors):
        wider: list[int] = []
        for dimension, axis in enumerate(names[1:], start=1):
            wider = [0, padded[axis] - tensor.shape[dimension], *wider]
        untouched = [0, 0] * (tensor.dim() - len(names))
        part = F.pad(tensor, [*untouched, *wider]) if any(wider) else tensor
        missing = padded[names[0]] - len(part)
        if missing:
            part = torch.cat([part, part[:1].expand(missing, *part.shape[1:])])
        parts.append(part if places is None else part + model * padded[places])
    return torch.cat(parts)

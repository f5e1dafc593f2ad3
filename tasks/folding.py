"""Batches of several models laid into one, as `bench.stacking.fold` has it."""

from __future__ import annotations

import itertools
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
    steps = own[_STEPS]
    counted = {name: own.pop(name) for name in sorted(rows_of)}
    rows, padded = _told_apart(counted, lambda _, size: [size])
    lengths, padded_lengths = _told_apart(own, sizes_within)
    padded |= padded_lengths
    folded = {
        name: _folded(
            [vars(batch)[name] for batch in batches], names, padded, first.places.get(name)
        )
        for name, names in first.axes.items()
        if _tensor(first, name) is not None
    }
    return replace(first, **folded), Fold(len(batches), rows, lengths, steps, draws)


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
                assert found.setdefault(axis, sizes) == sizes, f"{name} disagrees on {axis}"
    return found


def _told_apart(
    own: Mapping[str, tuple[int, ...]], within: SizesWithin
) -> tuple[dict[int, tuple[int, ...]], dict[str, int]]:
    """Padded to own sizes, over all axes and what they become in the network; and the padded size
    of each axis."""
    apart: dict[int, tuple[int, ...]] = {}
    padded: dict[str, int] = {}
    for axis, sizes in own.items():
        mine = [within(axis, size) for size in sizes]
        for size in itertools.count(max(sizes)):
            pairs = list(zip(within(axis, size), zip(*mine, strict=True), strict=True))
            every = [*apart.items(), *pairs]
            if len(dict(every)) == len(set(every)):  # no padded size means two things
                break
        apart |= dict(pairs)
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

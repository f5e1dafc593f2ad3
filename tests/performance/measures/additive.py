"""Attention with the additive score as its inputs grow: time and memory of a pass there and back,
against the formula as one would write it and against `scaled-dot` through torch's fused kernel."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from bench.attention.scores.concat import additive, additive_written_out
from bench.hardware import PeakMemory
from measures.figure import Figure, core_seconds, median_seconds, one_core

LENGTHS = (32, 128, 512, 1024, 4096)
SIZE = 64
#: Numbers of a hidden layer that may be kept whole: autograd holds several of that size.
WHOLE = 2**26
#: Examples, positions and sizes of one step of a recurrent decoder.
STEPS = ((64, 15, 128), (64, 15, 256), (32, 200, 256), (8, 2000, 256))

Attend = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def plain(queries: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
    """The formula, everything kept for the way back."""
    return (queries.unsqueeze(-2) + keys.unsqueeze(-3)).tanh() @ vector[0]


def attention(score: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Attend:
    def attend(queries: Tensor, keys: Tensor, values: Tensor, vector: Tensor) -> Tensor:
        return score(queries, keys, vector).softmax(-1) @ values

    return attend


def fused(queries: Tensor, keys: Tensor, values: Tensor, vector: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(queries, keys, values)


WAYS: dict[str, Attend] = {
    "formula": attention(plain),
    "formula in pieces": attention(additive_written_out),
    "concat": attention(additive),
    "scaled-dot, fused": fused,
}


def inputs(batch: int, queries: int, positions: int, size: int) -> list[Tensor]:
    torch.manual_seed(1)
    sizes = ((batch, 1, queries, size), (batch, 1, positions, size), (batch, 1, positions, size))
    drawn = [torch.randn(one) for one in sizes] + [torch.randn(1, size) / size**0.5]
    return [one.requires_grad_() for one in drawn]


def there_and_back(attend: Attend, given: list[Tensor]) -> None:
    context = attend(*given)
    torch.autograd.grad(context, given, torch.ones_like(context), allow_unused=True)


def cost(name: str, attend: Attend, given: list[Tensor], hidden: int) -> list[Figure]:
    """Time and memory of one pass; the median of several where it is short."""
    with PeakMemory() as peak:
        seconds = core_seconds(lambda: there_and_back(attend, given))
    times = min(25, 2**25 // hidden)
    if times > 1:
        seconds = median_seconds(lambda: there_and_back(attend, given), times)
    return [
        Figure(f"{name}: time", 1e3 * seconds, "ms"),
        Figure(f"{name}: memory", peak.bytes / 2**20, "MiB"),
    ]


def growing() -> list[Figure]:
    """Queries and positions grow alike."""
    figures = []
    for length in LENGTHS:
        hidden = length * length * SIZE
        for way, attend in WAYS.items():
            if way == "formula" and hidden > WHOLE:
                continue
            name = f"attention, length {length}, {way}"
            figures += cost(name, attend, inputs(1, length, length, SIZE), hidden)
    return figures


def single_steps() -> list[Figure]:
    """One query against many positions, as a loop over steps asks."""
    figures = []
    for batch, positions, size in STEPS:
        for way in ("formula", "concat"):
            given = inputs(batch, 1, positions, size)
            seconds = median_seconds(lambda g=given, w=WAYS[way]: there_and_back(w, g), 15)
            name = f"attention step, {batch} x {positions} x {size}, {way}"
            figures.append(Figure(name, 1e3 * seconds, "ms"))
    return figures


def measure() -> list[Figure]:
    one_core()
    return growing() + single_steps()

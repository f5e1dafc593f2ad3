"""What one more query costs as the source grows: `local-m` and `local-p` against `global`.

What happens once per sequence (projecting the keys, and filling their gradients) grows with it for
all and is a figure of its own; a query's cost is the difference between sequences of many queries
and of few."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from bench.attention.attention import build_attention
from bench.attention.base import Attention, Keys, Memory, Sizes
from measures.figure import Figure, core_seconds, median_seconds, one_core

LENGTHS = (32, 128, 512, 2048, 8192)
BATCH, SIZE = 2, 128
FEW, MANY = 8, 40
REPEATS = 5

Run = Callable[[Attention, Keys, Tensor], Tensor]


def memory(length: int) -> Memory:
    torch.manual_seed(1)
    states = torch.randn(BATCH, length, SIZE, requires_grad=True)
    return Memory(states, torch.ones(BATCH, length, dtype=torch.bool), torch.randn(BATCH, SIZE))


def at_once(module: Attention, keys: Keys, query: Tensor) -> Tensor:
    context: Tensor = module(query, keys, module.initial_state(keys), need_weights=False).context
    return context.sum()


def step_by_step(module: Attention, keys: Keys, query: Tensor) -> Tensor:
    state, total = module.initial_state(keys), query.new_zeros(())
    for step in query.split(1, dim=1):
        attended = module(step, keys, state, need_weights=False)
        total, state = total + attended.context.sum(), attended.state
    return total


def training(run: Run, module: Attention, source: Memory, queries: int) -> Callable[[], None]:
    """A sequence of so many queries, there and back."""
    query = torch.randn(BATCH, queries, SIZE, requires_grad=True)

    def action() -> None:
        module.zero_grad()
        run(module, module.prepare(source), query).backward()
        source.states.grad = None

    return action


def per_query(run: Run, module: Attention, source: Memory) -> float:
    """Milliseconds that a query adds to a sequence."""
    few, many = (training(run, module, source, queries) for queries in (FEW, MANY))
    few(), many()
    # The least of each: what others do to the machine only ever adds.
    least = [min(core_seconds(action) for _ in range(REPEATS)) for action in (few, many)]
    return 1e3 * (least[1] - least[0]) / (MANY - FEW)


def decoding(module: Attention, source: Memory) -> float:
    """Milliseconds of a step without gradients."""
    query = torch.randn(BATCH, 1, SIZE)
    with torch.no_grad():
        keys = module.prepare(source)
        return 1e3 * median_seconds(lambda: at_once(module, keys, query), 25)


def once(module: Attention, source: Memory) -> float:
    """Milliseconds of a sequence of one query, there and back: nearly all of it once a sequence."""
    return 1e3 * median_seconds(training(at_once, module, source, 1), REPEATS)


def measure() -> list[Figure]:
    one_core()
    figures = []
    for score in ("general", "concat"):
        for name in ("global", "local-m", "local-p"):
            for length in LENGTHS:
                module, source = build_attention(name, Sizes(SIZE, SIZE), score), memory(length)
                label = f"{name} + {score}, source {length}"
                rows = {
                    "decoding, a step": decoding(module, source),
                    "training, a query of many at once": per_query(at_once, module, source),
                    "training, a step of a loop": per_query(step_by_step, module, source),
                    "training, once a sequence": once(module, source),
                }
                figures += [Figure(f"{label}: {what}", ms, "ms") for what, ms in rows.items()]
    return figures

"""Rows taken from a memory a few at a time, at no cost that grows with the memory.

Autograd's gradient of a row taken from a table is as large as the table. In a loop over target
steps that is a table of zeros written and added at every step, for the few rows that a window
shows. Here all steps add their rows to one table, which is handed back when the last has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.attention.base import Keys


class Pool:
    """The gradient of a table while that of its rows is being collected.

    Between passes backwards it is empty; it belongs to the keys of one batch.

    Attributes:
        opened: a number that the rows depend on and that depends on the table, so that the
            table's turn on the way back comes after theirs.
    """

    def __init__(self, table: Tensor) -> None:
        self._total: Tensor | None = None
        opened: Tensor = _Open.apply(table, self)
        self.opened = opened

    def add(self, table: Tensor, rows: Tensor, gradient: Tensor) -> None:
        if self._total is None:
            self._total = torch.zeros_like(table)
        self._total.index_add_(0, rows, gradient)

    def empty(self) -> Tensor | None:
        """What was added, if anything."""
        total, self._total = self._total, None
        return total


@dataclass(frozen=True)
class PooledKeys(Keys):
    """Keys with pools for the gradients of some of their tensors, by name. A selection of the
    batch, which makes other tensors, is without."""

    pools: Mapping[str, Pool] = field(default_factory=dict)


def pooled(keys: Keys, *names: str) -> Keys:
    """The keys, those of their B,1,S,K tensors that need gradients with a pool each."""
    if not torch.is_grad_enabled() or torch._C._are_functorch_transforms_active():
        return keys
    tables = {name: keys.tensors[name] for name in names if keys.tensors[name].requires_grad}
    pools = {name: Pool(table.flatten(0, 2)) for name, table in tables.items()}
    return PooledKeys(keys.memory, keys.tensors, pools)


def take_rows(keys: Keys, name: str, index: Tensor) -> Tensor:
    """Rows of the B,1,S,K tensor of that name at B,T,W: B*T,1,W,K.

    With a pool they cannot be differentiated twice.
    """
    table = keys.tensors[name]
    B, _, S, K = table.shape
    rows = (index + torch.arange(0, B * S, S, device=index.device)[:, None, None]).flatten()
    flat = table.reshape(B * S, K)
    pool = keys.pools.get(name) if isinstance(keys, PooledKeys) else None
    taken = (
        flat.index_select(0, rows)
        if pool is None
        else _Take.apply(pool.opened, flat.detach(), rows, pool)
    )
    return taken.view(-1, 1, index.shape[2], K)


class _Open(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, pool: Pool) -> Tensor:
        ctx.pool = pool
        return table.new_zeros(())

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, None]:
        return ctx.pool.empty(), None


class _Take(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, opened: Tensor, table: Tensor, rows: Tensor, pool: Pool) -> Tensor:
        ctx.save_for_backward(table, rows)
        ctx.pool = pool
        return table.index_select(0, rows)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        table, rows = ctx.saved_tensors
        ctx.pool.add(table, rows, gradient)
        return gradient.new_zeros(()), None, None, None

"""The additive score on a CPU, a tile of pairs at a time; and what it shares with the CUDA kernels.

Written out, v . tanh(q + k) needs the hidden layer of every pair, B,T,S,A numbers, and autograd
keeps them all. Here a tile small enough for the cache is formed, used and overwritten, on the way
back as on the way there; what is kept are queries and keys.

A tile is also cheaper than its tanh. With r = 1 / (1 + exp(2q) exp(2k)), tanh(q + k) = 1 - 2r and
its derivative is 4r(1 - r): the exponentials are taken of queries and keys, T + S vectors instead
of T x S, and a pair costs a product, a sum and a reciprocal. Where they might overflow, and for
one query, which would share them with none, r is the logistic function of -2(q + k). All agree
with the formula to rounding. The order of sums is fixed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

#: Numbers of a tile: 1 MiB in float32.
TILE = 2**18
#: Positions of a tile; with more there were too few queries over which to add gradients up.
TILE_POSITIONS = 128


def additive_in_tiles(queries: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
    """Energies v . tanh(query + key): B,H,T,A and B,H,S,A and H,A to B,H,T,S.

    Half precision is computed in float32; the result has the precision that autocast or the inputs
    ask for. Second derivatives are formed from the formula written out, in the memory it takes.
    """
    energies: Tensor = _InTiles.apply(queries, keys, vector)
    return energies


class _InTiles(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
        ctx.save_for_backward(queries, keys, vector)
        dtype = result_dtype(queries, keys, vector)
        q, k, v = precise(queries, keys, vector)
        energies = q.new_empty(*q.shape[:3], k.shape[2])  # B,H,T,S
        with without_autocast(q):
            for head in range(len(v)):
                _fill_energies(energies[:, head], q[:, head], k[:, head], v[head])
        return energies.to(dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        if torch.is_grad_enabled():  # for a second derivative
            return written_out_gradients(inputs, gradient, ctx.needs_input_grad)
        q, k, v = precise(*inputs)
        g = gradient.to(q.dtype)
        found = tuple(one.new_empty(one.shape) for one in (q, k, v))
        with without_autocast(q):
            for head in range(len(v)):
                _fill_gradients(
                    (found[0][:, head], found[1][:, head], found[2][head]),
                    (q[:, head], k[:, head], v[head]),
                    g[:, head],
                )
        return as_needed(found, inputs, ctx.needs_input_grad)


def _fill_energies(energies: Tensor, q: Tensor, k: Tensor, v: Tensor) -> None:
    """Forward pass for one head: energies B,T,S from queries B,T,A, keys B,S,A and vector A."""
    logistic = _Logistic.of(q, k)
    for b, t, s in _tiles(energies.shape, len(v)):
        r = logistic.tile(b, t, s)  # b,t,s,A
        energies[b, t, s] = torch.mv(r.flatten(0, 2), v).view(r.shape[:3])  # b,t,s
    energies.mul_(-2).add_(v.sum())  # v . (1 - 2r)


def _fill_gradients(
    found: tuple[Tensor, Tensor, Tensor], inputs: tuple[Tensor, Tensor, Tensor], g: Tensor
) -> None:
    """Backward pass for one head: gradients of queries, keys and vector from the gradient of the
    energies, B,T,S."""
    (q, k, v), (to_queries, to_keys, to_vector) = inputs, found
    logistic = _Logistic.of(q, k)
    to_vector.zero_()
    for b, t, s in _tiles(g.shape, len(v)):
        r, here = logistic.tile(b, t, s), g[b, t, s]  # b,t,s,A and b,t,s
        # d vector: the sum of g r over pairs.
        to_vector += torch.mv(r.flatten(0, 2).t(), here.reshape(-1))  # A
        # d queries and d keys: g r (1 - r), summed over positions and over queries.
        torch.ops.aten.sigmoid_backward(here.unsqueeze(-1), r, grad_input=r)  # b,t,s,A
        _gather(to_queries[b, t], r, 2, first=s.start == 0)
        _gather(to_keys[b, s], r, 1, first=t.start == 0)
    for part in (to_queries, to_keys):
        part.mul_(4 * v)
    to_vector.mul_(-2).add_(g.sum())


def _gather(total: Tensor, tile: Tensor, dim: int, *, first: bool) -> None:
    """Add the sum of a tile over `dim` to a total, or set it."""
    if first:
        torch.sum(tile, dim, out=total)
    else:
        total += tile.sum(dim)


@dataclass(frozen=True)
class _Logistic:
    """Maker of r = 1 / (1 + exp(2(q + k))) for a tile, in memory that all tiles share.

    Attributes:
        queries, keys: B,T,A and B,S,A, the factors exp(2q), exp(2k) if `factored`; else -2q and k.
        scratch: memory of the largest tile.
    """

    queries: Tensor
    keys: Tensor
    factored: bool
    scratch: Tensor
    one: Tensor

    @classmethod
    def of(cls, q: Tensor, k: Tensor) -> _Logistic:
        B, T, A = q.shape
        scratch = q.new_empty(min(B * T * k.shape[1] * A, max(TILE, A)))
        one = q.new_ones(())
        if T > 1 and _factors(q, k):
            return cls((2 * q).exp_(), (2 * k).exp_(), True, scratch, one)
        return cls(-2 * q, k, False, scratch, one)

    def tile(self, b: slice, t: slice, s: slice) -> Tensor:
        queries, keys = self.queries[b, t, None], self.keys[b, None, s]  # b,t,1,A and b,1,s,A
        shape = torch.broadcast_shapes(queries.shape, keys.shape)
        r = self.scratch[: math.prod(shape)].view(shape)
        if self.factored:
            return torch.addcmul(self.one, queries, keys, out=r).reciprocal_()
        return torch.add(queries, keys, alpha=-2, out=r).sigmoid_()


def _factors(q: Tensor, k: Tensor) -> bool:
    """Whether exp(2q) exp(2k), and either factor, stay far inside the range of the type."""
    limit = 0.45 * math.log(torch.finfo(q.dtype).max)  # of |q| + |k|; about 40 in float32
    furthest = torch.stack([q.abs().amax(), k.abs().amax()])
    return bool(furthest.sum() <= limit)  # False for NaN


def _tiles(pairs: torch.Size, A: int) -> Iterator[tuple[slice, slice, slice]]:
    """Cut all pairs into slices of examples, queries and positions, in a fixed order."""
    B, T, S = pairs
    room = max(1, TILE // A)
    s = min(S, room, TILE_POSITIONS)
    t = min(T, max(1, room // s))
    if t == T:  # few queries: more positions then
        s = min(S, max(s, room // t))
    b = min(B, max(1, room // (s * t)))
    return itertools.product(_slices(B, b), _slices(T, t), _slices(S, s))


def _slices(size: int, step: int) -> list[slice]:
    return [slice(start, min(start + step, size)) for start in range(0, size, step)]


def precise(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Cast all tensors to float64 if any is float64, else to float32."""
    double = any(tensor.dtype == torch.float64 for tensor in tensors)
    return tuple(tensor.to(torch.float64 if double else torch.float32) for tensor in tensors)


def result_dtype(queries: Tensor, keys: Tensor, vector: Tensor) -> torch.dtype:
    """Type of a product of these tensors: autocast's if it is on, else the widest."""
    device = queries.device.type
    widest = torch.promote_types(torch.promote_types(queries.dtype, keys.dtype), vector.dtype)
    if torch.is_autocast_enabled(device) and widest != torch.float64:
        return torch.get_autocast_dtype(device)
    return widest


def without_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """Context in which products keep the precision of their inputs."""
    device = tensor.device.type
    if not torch.is_autocast_enabled(device):
        return nullcontext()  # entering the other costs as much as a small product
    return torch.autocast(device, enabled=False)


def as_needed(
    found: tuple[Tensor, ...], inputs: tuple[Tensor, ...], needed: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    """Cast gradients to the types of their inputs; None where none is needed."""
    return tuple(
        one.to(given.dtype) if need else None
        for one, given, need in zip(found, inputs, needed, strict=True)
    )


def written_out_gradients(
    inputs: tuple[Tensor, ...], gradient: Tensor, needed: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    """Differentiable gradients of v . tanh(q + k) w.r.t. q (B,H,T,A), k (B,H,S,A) and v (H,A), for
    second derivatives."""
    queries, keys, vector = precise(*inputs)
    hidden = (queries.unsqueeze(-2) + keys.unsqueeze(-3)).tanh()  # B,H,T,S,A
    energies = (hidden * vector[:, None, None]).sum(-1)
    wanted = [one for one, need in zip(inputs, needed, strict=True) if need]
    made = torch.autograd.grad(energies, wanted, gradient.to(energies.dtype), create_graph=True)
    found = iter(made)
    return tuple(next(found) if need else None for need in needed)

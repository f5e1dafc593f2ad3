"""The additive score on CUDA devices, by kernels that never store the hidden layer.

A program forms tanh(q + k) of a block of queries x positions x features in registers and sums over
what its result does not have: features for the energies, positions for the gradients of queries
and vector, queries for those of keys. On the way back tanh is formed again. Nothing is added up
atomically, so equal inputs give equal results to the bit.

Tested in Triton's interpreter on a CPU and on an H100, where the sides of blocks were chosen; also
compiled for architecture 8.0. The functions of single numbers take most of the time there: two a
hidden number (an exponential and a reciprocal), of which a multiprocessor does 16 a cycle.

Importing this needs Triton, which comes with torch's CUDA builds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor
from triton.language import constexpr

from bench.attention.kernels import as_needed, precise, result_dtype, written_out_gradients


@dataclass(frozen=True)
class Blocks:
    """Sides of a block of pairs and features, and the number of warps that compute it."""

    queries: int
    positions: int
    features: int
    warps: int = 4

    def arguments(self) -> dict[str, int]:
        sides = {"BT": self.queries, "BS": self.positions, "BA": self.features}
        return {**sides, "num_warps": self.warps}


@dataclass(frozen=True)
class Choice:
    """The blocks of a kernel for several queries, and for one, which would leave most of the first
    empty. A kernel is fastest where a block is long in what it sums over."""

    many: Blocks
    one: Blocks

    def of(self, queries: int) -> Blocks:
        return self.one if queries == 1 else self.many


ENERGIES = Choice(many=Blocks(16, 64, 8), one=Blocks(1, 8, 128, warps=2))
QUERY_GRADIENTS = Choice(many=Blocks(2, 64, 64), one=Blocks(1, 32, 64))
KEY_GRADIENTS = Choice(many=Blocks(32, 16, 16), one=Blocks(1, 16, 64, warps=2))

#: Ways to form tanh: by the formula in any precision and in Triton's interpreter, by the device's
#: own exponential and reciprocal (off by 5e-7 in a score of 4, as the formula), and by its own tanh
#: (off by 1e-5), which results that are rounded to half precision do not show.
FORMULA, SINGLE, HALF = 0, 1, 2


def additive_by_kernel(queries: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
    """Energies v . tanh(query + key): B,H,T,A and B,H,S,A and H,A to B,H,T,S.

    Sums are in float32, or float64 where an input is. Second derivatives are formed from the
    formula written out.
    """
    energies: Tensor = _ByKernel.apply(queries, keys, vector)
    return energies


class _ByKernel(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
        ctx.save_for_backward(queries, keys, vector)
        dtype = result_dtype(queries, keys, vector)
        q, k, v = _flat(queries, keys, vector)
        N, T, A = q.shape
        S = k.shape[1]
        energies = q.new_empty(N, T, S)
        ctx.tanh = _tanh_for(dtype, q)
        blocks = ENERGIES.of(T)
        # Only the first side of a grid may be long.
        grid = (N, triton.cdiv(T, blocks.queries), triton.cdiv(S, blocks.positions))
        _energies[grid](q, k, v, energies, len(vector), T, S, A, ctx.tanh, **blocks.arguments())
        return energies.view(*queries.shape[:2], T, S).to(dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        if torch.is_grad_enabled():  # for a second derivative
            return written_out_gradients(inputs, gradient, ctx.needs_input_grad)
        q, k, v = _flat(*inputs)
        N, T, A = q.shape
        S, heads = k.shape[1], len(v)
        g = gradient.to(q.dtype).reshape(N, T, S).contiguous()
        to_queries, to_keys = torch.empty_like(q), torch.empty_like(k)
        blocks = QUERY_GRADIENTS.of(T)
        rows = triton.cdiv(T, blocks.queries)
        to_vector = q.new_empty(N, rows, A)  # one part for every block of queries
        _query_gradients[(N, rows, triton.cdiv(A, blocks.features))](
            q, k, v, g, to_queries, to_vector, heads, T, S, A, ctx.tanh, **blocks.arguments()
        )
        blocks = KEY_GRADIENTS.of(T)
        _key_gradients[(N, triton.cdiv(S, blocks.positions), triton.cdiv(A, blocks.features))](
            q, k, v, g, to_keys, heads, T, S, A, ctx.tanh, **blocks.arguments()
        )
        found = (
            to_queries.view_as(inputs[0]),
            to_keys.view_as(inputs[1]),
            to_vector.view(-1, heads, rows, A).sum((0, 2)),  # H,A
        )
        return as_needed(found, inputs, ctx.needs_input_grad)


def _flat(*inputs: Tensor) -> tuple[Tensor, ...]:
    """Return N,T,A and N,S,A and H,A in one precision, contiguous; N is B x H."""
    queries, keys, vector = (one.contiguous() for one in precise(*inputs))
    return queries.flatten(0, 1), keys.flatten(0, 1), vector


def _tanh_for(result: torch.dtype, inputs: Tensor) -> int:
    """Choose how to form tanh for a result of that precision from inputs of at least float32."""
    if inputs.dtype != torch.float32 or not inputs.is_cuda:
        return FORMULA
    return SINGLE if result == torch.float32 else HALF


@triton.jit
def _instruction(code: constexpr, x):  # type: ignore[no-untyped-def]
    return tl.inline_asm_elementwise(code, "=f,f", [x], dtype=tl.float32, is_pure=True, pack=1)


@triton.jit
def _tanh(x, WAY: constexpr):  # type: ignore[no-untyped-def]
    """1 - 2 / (1 + e^2x): an exponential that overflows leaves 1."""
    if WAY == 2:  # HALF
        return _instruction("tanh.approx.f32 $0, $1;", x)
    if WAY == 1:  # SINGLE; e^2x is 2 to the power of x times 2 / log 2
        power = _instruction("ex2.approx.ftz.f32 $0, $1;", x * 2.8853900817779268)
        return 1 - 2 * _instruction("rcp.approx.ftz.f32 $0, $1;", 1 + power)
    return 1 - 2 / (1 + tl.exp(2 * x))


@triton.jit
def _block(start, row, column, rows, columns):  # type: ignore[no-untyped-def]
    """The block at these rows and columns of a matrix, with 0 beyond its edges."""
    inside = (row[:, None] < rows) & (column[None, :] < columns)
    return tl.load(start + row[:, None] * columns + column[None, :], mask=inside, other=0.0)


@triton.jit
def _energies(  # type: ignore[no-untyped-def]
    q, k, v, out, H, T, S, A, WAY: constexpr, BT: constexpr, BS: constexpr, BA: constexpr
):
    n = tl.program_id(0).to(tl.int64)  # example and head; offsets may pass 2**31
    t = tl.program_id(1) * BT + tl.arange(0, BT)
    s = tl.program_id(2) * BS + tl.arange(0, BS)
    total = tl.zeros((BT, BS), dtype=q.dtype.element_ty)
    for first in range(0, A, BA):
        a = first + tl.arange(0, BA)
        queries = _block(q + n * T * A, t, a, T, A)  # BT,BA
        keys = _block(k + n * S * A, s, a, S, A)  # BS,BA
        weights = tl.load(v + (n % H) * A + a, mask=a < A, other=0.0)
        hidden = _tanh(queries[:, None, :] + keys[None, :, :], WAY)  # BT,BS,BA
        total += tl.sum(hidden * weights[None, None, :], 2)
    inside = (t[:, None] < T) & (s[None, :] < S)
    tl.store(out + n * T * S + t[:, None] * S + s[None, :], total, mask=inside)


@triton.jit
def _query_gradients(  # type: ignore[no-untyped-def]
    q, k, v, g, to_q, to_v, H, T, S, A, WAY: constexpr, BT: constexpr, BS: constexpr, BA: constexpr
):
    """Compute d(queries) for one block of queries x features, and its partial sum of d(vector)."""
    n = tl.program_id(0).to(tl.int64)
    t = tl.program_id(1) * BT + tl.arange(0, BT)
    a = tl.program_id(2) * BA + tl.arange(0, BA)
    queries = _block(q + n * T * A, t, a, T, A)  # BT,BA
    slopes = tl.zeros((BT, BA), dtype=q.dtype.element_ty)
    values = tl.zeros((BT, BA), dtype=q.dtype.element_ty)
    for first in range(0, S, BS):
        s = first + tl.arange(0, BS)
        keys = _block(k + n * S * A, s, a, S, A)  # BS,BA
        energies = _block(g + n * T * S, t, s, T, S)  # BT,BS, 0 where there is no pair
        hidden = _tanh(queries[:, None, :] + keys[None, :, :], WAY)  # BT,BS,BA
        slopes += tl.sum(energies[:, :, None] * (1 - hidden * hidden), 1)
        values += tl.sum(energies[:, :, None] * hidden, 1)
    weights = tl.load(v + (n % H) * A + a, mask=a < A, other=0.0)
    inside = (t[:, None] < T) & (a[None, :] < A)
    place = n * T * A + t[:, None] * A + a[None, :]
    tl.store(to_q + place, slopes * weights[None, :], mask=inside)
    part = (n * tl.num_programs(1) + tl.program_id(1)) * A
    tl.store(to_v + part + a, tl.sum(values, 0), mask=a < A)


@triton.jit
def _key_gradients(  # type: ignore[no-untyped-def]
    q, k, v, g, to_k, H, T, S, A, WAY: constexpr, BT: constexpr, BS: constexpr, BA: constexpr
):
    """Compute d(keys) for one block of keys x features."""
    n = tl.program_id(0).to(tl.int64)
    s = tl.program_id(1) * BS + tl.arange(0, BS)
    a = tl.program_id(2) * BA + tl.arange(0, BA)
    keys = _block(k + n * S * A, s, a, S, A)  # BS,BA
    slopes = tl.zeros((BS, BA), dtype=q.dtype.element_ty)
    for first in range(0, T, BT):
        t = first + tl.arange(0, BT)
        queries = _block(q + n * T * A, t, a, T, A)  # BT,BA
        energies = _block(g + n * T * S, t, s, T, S)  # BT,BS, 0 where there is no pair
        hidden = _tanh(queries[:, None, :] + keys[None, :, :], WAY)  # BT,BS,BA
        slopes += tl.sum(energies[:, :, None] * (1 - hidden * hidden), 0)
    weights = tl.load(v + (n % H) * A + a, mask=a < A, other=0.0)
    inside = (s[:, None] < S) & (a[None, :] < A)
    place = n * S * A + s[:, None] * A + a[None, :]
    tl.store(to_k + place, slopes * weights[None, :], mask=inside)

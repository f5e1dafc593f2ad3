"""What the ways to compute the additive score share: precisions, and gradients written out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def precise(*tensors: Tensor) -> tuple[Tensor, ...]:
    """All in float64 if any is, else in float32."""
    double = any(tensor.dtype == torch.float64 for tensor in tensors)
    return tuple(tensor.to(torch.float64 if double else torch.float32) for tensor in tensors)


def result_dtype(queries: Tensor, keys: Tensor, vector: Tensor) -> torch.dtype:
    """What a product of these would have: autocast's if it is on, else the widest."""
    device = queries.device.type
    widest = torch.promote_types(torch.promote_types(queries.dtype, keys.dtype), vector.dtype)
    if torch.is_autocast_enabled(device) and widest != torch.float64:
        return torch.get_autocast_dtype(device)
    return widest


def without_autocast(tensor: Tensor) -> AbstractContextManager[object]:
    """What keeps products in the precision of their inputs."""
    device = tensor.device.type
    if not torch.is_autocast_enabled(device):
        return nullcontext()  # entering the other costs as much as a small product
    return torch.autocast(device, enabled=False)


def as_needed(
    found: tuple[Tensor, ...], inputs: tuple[Tensor, ...], needed: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    """Gradients in the types of their inputs, None where none is wanted."""
    return tuple(
        one.to(given.dtype) if need else None
        for one, given, need in zip(found, inputs, needed, strict=True)
    )


def written_out_gradients(
    inputs: tuple[Tensor, ...], gradient: Tensor, needed: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    """Those of v . tanh(q + k) for B,H,T,A and B,H,S,A and H,A, to be differentiated in turn."""
    queries, keys, vector = precise(*inputs)
    hidden = (queries.unsqueeze(-2) + keys.unsqueeze(-3)).tanh()  # B,H,T,S,A
    energies = (hidden * vector[:, None, None]).sum(-1)
    wanted = [one for one, need in zip(inputs, needed, strict=True) if need]
    made = torch.autograd.grad(energies, wanted, gradient.to(energies.dtype), create_graph=True)
    found = iter(made)
    return tuple(next(found) if need else None for need in needed)


# Large intermediate tensors a piece at a time, so that memory stays bounded.

#: Elements an intermediate tensor may have (128 MiB in float32) before it is formed in pieces.
LIMIT = 2**25


def in_chunks(
    function: Callable[[Tensor], Tensor],
    rows: Tensor,
    *,
    dim: int,
    row_size: int,
    limit: int = LIMIT,
) -> Tensor:
    """`function(rows)`, computed in pieces along `dim` where it would be too large at once.

    In training the pieces are recomputed on the way back instead of kept; otherwise autograd
    would hold all of them and nothing were saved.

    Args:
        function: maps each row along `dim` independently of the others; keeps that dimension.
        row_size: elements of the intermediate tensor for one row.
        limit: elements it may have altogether.
    """
    size = max(1, limit // max(1, row_size))
    if rows.shape[dim] <= size:
        return function(rows)
    recompute = torch.is_grad_enabled()
    pieces = [
        checkpoint(function, piece, use_reentrant=False) if recompute else function(piece)
        for piece in rows.split(size, dim)
    ]
    return torch.cat(pieces, dim)

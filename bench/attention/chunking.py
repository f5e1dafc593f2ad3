"""Functions of rows whose intermediate tensors are large, computed in chunks."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

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
    """Compute `function(rows)`, in pieces along `dim` where its intermediate tensor would be large.

    In training the pieces are recomputed in the backward pass instead of kept; otherwise autograd
    would hold all of them and nothing would be saved.

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

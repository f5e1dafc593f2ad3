"""Products of rows with one model's parameters, or with those of several models stacked.

Batches of several models lie in one batch, model by model and with as many rows each. Code that
uses parameters goes through here, so that it need not know whether there are several.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def affine(rows: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """W x + b for every row: ...,I to ...,O.

    Args:
        weight: O,I; or K,O,I of K models, to each of which an equal share of the rows belongs.
        bias: O, or K,O.
    """
    if weight.dim() == 2:
        return F.linear(rows, weight, bias)
    mine, matrix = rows.reshape(len(weight), -1, rows.shape[-1]), weight.transpose(1, 2)  # K,N,I
    found = torch.bmm(mine, matrix) if bias is None else torch.baddbmm(bias[:, None], mine, matrix)
    return found.view(*rows.shape[:-1], -1)


def rows_product(added: Tensor, rows: Tensor, matrix: Tensor) -> Tensor:
    """added + rows matrix: N,I to N,O with I,O.

    Args:
        added: O or N,O.
        matrix: I,O; or K,I,O of K models, and `added` is K,O or N,O.
    """
    if matrix.dim() == 2:
        return torch.addmm(added, rows, matrix)
    K = len(matrix)
    mine = rows.view(K, -1, rows.shape[-1])  # K,N/K,I
    added = added[:, None] if len(added) == K else added.view(K, mine.shape[1], -1)
    return torch.baddbmm(added, mine, matrix).flatten(0, 1)


def plus(rows: Tensor, values: Tensor) -> Tensor:
    """B,N,D with values N,D added to every row; or K,N,D, the k-th to the rows of model k."""
    if values.dim() == 2:
        return rows + values
    return (rows.view(len(values), -1, *rows.shape[1:]) + values[:, None]).view(rows.shape)

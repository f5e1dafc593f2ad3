"""The additive score of one query, as the loop over target steps asks for it, on a CPU.

tanh is most of its cost. With r the logistic function of -2(q + k), which torch computes three
times as fast, tanh(q + k) = 1 - 2r and its derivative is 4r(1 - r).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from bench.attention.kernels import written_out_gradients


def additive_step(query: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
    """v . tanh(query + key): B,H,1,A and B,H,S,A and H,A to B,H,1,S.

    r, B,H,S,A numbers, is kept for the way back. All have one type, float32 or float64.
    """
    energies: Tensor = _Step.apply(query, keys, vector)
    return energies


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, vector: Tensor) -> Tensor:
        r = torch.add(-2 * query, keys, alpha=-2).sigmoid_()  # B,H,S,A
        ctx.save_for_backward(query, keys, vector, r)
        if len(vector) == 1:
            flat = r.flatten(0, 2)
            energies = torch.addmv(vector.sum(), flat, vector[0], alpha=-2)
            return energies.view(len(r), 1, 1, -1)
        products = torch.einsum("bhsa,ha->bhs", r, vector)
        return products.mul_(-2).add_(vector.sum(1, keepdim=True)).unsqueeze(2)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        query, keys, vector, r = ctx.saved_tensors
        if torch.is_grad_enabled():  # somebody will differentiate again
            return written_out_gradients((query, keys, vector), gradient, ctx.needs_input_grad)
        g = gradient.squeeze(2)  # B,H,S
        to_query = to_keys = to_vector = None
        if ctx.needs_input_grad[2]:
            products = torch.einsum("bhs,bhsa->ha", g, r)
            to_vector = products.mul_(-2).add_(g.sum((0, 2)).unsqueeze(-1))
        if ctx.needs_input_grad[0] or ctx.needs_input_grad[1]:
            to_keys = g.unsqueeze(-1) * (4 * vector)[:, None]  # B,H,S,A
            torch.ops.aten.sigmoid_backward(to_keys, r, grad_input=to_keys)
            to_query = to_keys.sum(2, keepdim=True)
        return to_query, to_keys, to_vector

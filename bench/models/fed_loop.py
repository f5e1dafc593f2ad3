"""Input feeding over a GRU and dot-product attention, trained on a CPU as one function.

Each step of Luong 2015, section 3.3 waits for the one before: cell, attention, attentional vector,
which enters the next cell. Autograd keeps and retraces some thirty operations a step. Here the way
back is written out, only what must be stepwise is in its loop, and the gradients of weights, keys
and values are each made of all steps at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from bench.attention.attention import DotProducts
from bench.models import gru_steps as steps
from bench.models.recurrent_cells import LayerParameters
from bench.models.tanh import tanh_


@dataclass(frozen=True)
class Parameters:
    """Those of the cell, whose input weights are 3H,E+F; weights F,C+H and bias F of the
    attentional vector."""

    cell: LayerParameters
    readout: Tensor
    readout_bias: Tensor


@dataclass(frozen=True)
class Dropped:
    """What dropout multiplies by: B,T,H for the states that make the attentional vectors, and
    B,T,F for these."""

    states: Tensor
    vectors: Tensor


@dataclass(frozen=True)
class Walked:
    """B,T,F attentional vectors, after dropout; B,T,H states; B,T,C contexts."""

    vectors: Tensor
    states: Tensor
    contexts: Tensor


def walk(
    embedded: Tensor,
    first: Tensor,
    fed: Tensor,
    attention: DotProducts,
    parameters: Parameters,
    dropped: Dropped | None,
) -> Walked:
    """Read B,T,E embeddings, from a state B,H and an attentional vector B,F on."""
    a = attention
    given = (*parameters.cell, parameters.readout, parameters.readout_bias)
    factors: list[Tensor | None] = [None, None]  # T,B,H and T,B,F
    if dropped is not None:
        every = (dropped.states, dropped.vectors)
        factors = [one.transpose(0, 1).contiguous() for one in every]
    return Walked(
        *_Walk.apply(embedded, first, fed, a.keys, a.values, *given, a.mask, a.factor, *factors)
    )


class _Walk(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        embedded: Tensor,
        first: Tensor,
        fed: Tensor,
        keys: Tensor,
        values: Tensor,
        inputs: Tensor,
        recurrent: Tensor,
        input_bias: Tensor,
        bias: Tensor,
        readout: Tensor,
        readout_bias: Tensor,
        mask: Tensor,
        factor: float,
        drop_states: Tensor | None,
        drop_vectors: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        (B, T, E), H, C = embedded.shape, first.shape[1], values.shape[2]
        flat = embedded.transpose(0, 1).flatten(0, 1)  # T*B,E
        gates, states = steps.room(T, first)
        steps.fill_inputs(gates, flat, inputs[:, :E], (input_bias, bias))
        vectors = fed.new_empty(T + 1, *fed.shape)  # T+1,B,F
        vectors[0] = fed
        made = fed.new_empty(T, *fed.shape)  # T,B,F before dropout
        sources = fed.new_empty(T, B, C + H)
        weights = fed.new_empty(T, B, 1, keys.shape[1])
        blocked = weights.new_zeros(weights.shape[1:]).masked_fill_(~mask[:, None], float("-inf"))
        turned, fed_weight = steps.turned(recurrent).t(), inputs[:, E:].t()
        turned_keys, turned_readout = keys.transpose(1, 2), readout.t()
        for t, step in enumerate(steps.each(gates)):
            given, top = gates[t, :, H:], states[t + 1]
            torch.addmm(given, vectors[t], fed_weight, out=given)
            steps.advance(step, states[t], turned, top)
            energies = torch.baddbmm(blocked, top[:, None], turned_keys, alpha=factor)  # B,1,S
            torch.softmax(energies, 2, out=weights[t])
            sources[t, :, :C] = torch.bmm(weights[t], values)[:, 0]
            _scale(top, drop_states, t, out=sources[t, :, C:])
            tanh_(torch.addmm(readout_bias, sources[t], turned_readout, out=made[t]))
            _scale(made[t], drop_vectors, t, out=vectors[t + 1])
        ctx.factor = factor
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(
            *(flat, keys, values, inputs, recurrent, readout, drop_states, drop_vectors),
            *(gates, states, vectors, made, sources, weights),
        )
        contexts = sources[:, :, :C]
        return vectors[1:].transpose(0, 1), states[1:].transpose(0, 1), contexts.transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor | None, ...]:
        flat, keys, values, inputs, recurrent, readout, drop_states, drop_vectors = (
            ctx.saved_tensors[:8]
        )
        gates, states, vectors, made, sources, weights = ctx.saved_tensors[8:]
        E, H, C = flat.shape[1], states.shape[2], values.shape[2]
        of_vectors, of_states, of_contexts = gradients
        found = steps.slopes(gates, states[:-1])
        ones = torch.ones_like(made) if drop_vectors is None else drop_vectors
        to_made = torch.ops.aten.tanh_backward(ones, made)  # T,B,F: slopes, then gradients
        to_contexts = sources.new_empty(*sources.shape[:2], C)
        to_energies = torch.empty_like(weights)  # T,B,1,S
        turned, fed_weight = steps.turned(recurrent), inputs[:, E:]
        turned_values = values.transpose(1, 2)
        to_fed, to_state = torch.zeros_like(vectors[0]), torch.zeros_like(states[0])
        for t, step in reversed(list(enumerate(steps.each_back(found)))):
            _add(to_fed, of_vectors, t)
            to_sources = to_made[t].mul_(to_fed) @ readout  # B,C+H
            to_context = to_contexts[t].copy_(to_sources[:, :C])
            _add(to_context, of_contexts, t)
            to_weights = torch.bmm(to_context[:, None], turned_values)  # B,1,S
            torch.mul(
                torch._softmax_backward_data(to_weights, weights[t], 2, weights.dtype),
                ctx.factor,
                out=to_energies[t],
            )
            to_state.add_(torch.bmm(to_energies[t], keys)[:, 0])
            to_state.add_(_scale(to_sources[:, C:], drop_states, t))
            _add(to_state, of_states, t)
            to_state = steps.go_back(step, gates[t, :, 2 * H : 3 * H], to_state, turned)
            to_fed = step.inputs @ fed_weight
        of_inputs = found.flatten(0, 1)[:, H:]  # T*B,3H
        to_inputs = torch.empty_like(inputs)
        torch.mm(of_inputs.t(), flat, out=to_inputs[:, :E])
        torch.mm(of_inputs.t(), vectors[:-1].flatten(0, 1), out=to_inputs[:, E:])
        to_cell = steps.weight_gradients(found, states[:-1])
        return (
            (of_inputs @ inputs[:, :E]).unflatten(0, found.shape[:2]).transpose(0, 1),
            to_state,
            to_fed,
            _outer(to_energies[:, :, 0], states[1:]),
            _outer(weights[:, :, 0], to_contexts),
            to_inputs,
            *to_cell,
            to_made.flatten(0, 1).t() @ sources.flatten(0, 1),
            to_made.sum((0, 1)),
            *(None,) * 4,
        )


def _scale(tensor: Tensor, factors: Tensor | None, t: int, out: Tensor | None = None) -> Tensor:
    """A step's tensor after dropout."""
    if factors is not None:
        return torch.mul(tensor, factors[t], out=out)
    return tensor if out is None else out.copy_(tensor)


def _add(total: Tensor, gradient: Tensor | None, t: int) -> None:
    """Add a step's gradient B,N of B,T,N."""
    if gradient is not None:
        total.add_(gradient[:, t])


def _outer(rows: Tensor, columns: Tensor) -> Tensor:
    """T,B,S and T,B,N to B,S,N: the sum over steps of all products."""
    return torch.bmm(rows.permute(1, 2, 0), columns.transpose(0, 1))

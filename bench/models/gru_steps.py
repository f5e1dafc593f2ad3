"""Steps of a GRU layer on a CPU, with the way back written out.

Autograd's record of a step is a dozen small operations, a gradient of the weights among them. Here
the gates of all steps lie in one piece of memory, what the way back needs of them is made for all
steps at once, and so are the gradients of the weights; only what must be stepwise is.

With r, z, n the reset, update and new gates of PyTorch's GRU (Cho 2014), x the projected input and
u the projected state: n = tanh(x_n + r u_n), h = n + z (h_before - n). `gates` T,B,4H holds the
blocks u_n, r, z, n, so that blocks 0 to 2 are what the state's product fills and 1 to 3 what the
input's does; `states` T+1,B,H begins with the first one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from bench.models.tanh import tanh_

#: Numbers between rows of gates: rows a power of two apart share places in the cache.
APART = 16


def empty_gates(steps: int, batch: int, recurrent: Tensor) -> Tensor:
    """Gates T,B,4H, not initialised, for weights 3H,H of the state."""
    size = 4 * recurrent.shape[1]
    return recurrent.new_empty(steps, batch, size + APART)[:, :, :size]


def room(steps: int, first: Tensor) -> tuple[Tensor, Tensor]:
    """Gates and states of so many steps from the state B,H on, which is filled in."""
    states = first.new_empty(steps + 1, *first.shape)
    states[0] = first
    return empty_gates(steps, len(first), first), states


def fill_inputs(
    gates: Tensor, inputs: Tensor | None, weight: Tensor, biases: tuple[Tensor, Tensor]
) -> None:
    """Begin with the projections of T*B,I inputs by 3H,I weights, if there are any, and with the
    biases 3H of input and state."""
    H = gates.shape[2] // 4
    of_input, of_state = biases
    shared = torch.cat((of_input[: 2 * H] + of_state[: 2 * H], of_input[2 * H :]))
    flat = gates.flatten(0, 1)  # T*B,4H
    if inputs is None:
        flat[:, H:] = shared
    else:
        torch.addmm(shared, inputs, weight.t(), out=flat[:, H:])
    flat[:, :H] = of_state[2 * H :]


def turned(recurrent: Tensor) -> Tensor:
    """The weights 3H,H of the state in the order of the blocks."""
    H = recurrent.shape[1]
    return torch.cat((recurrent[2 * H :], recurrent[: 2 * H]))


class Step(NamedTuple):
    """One step's gates: all that the state's product fills B,3H, r and z B,2H, and the blocks."""

    filled: Tensor
    both: Tensor
    hidden_new: Tensor
    reset: Tensor
    update: Tensor
    new: Tensor


def each(gates: Tensor) -> Iterator[Step]:
    """The steps of T,B,4H."""
    H = gates.shape[2] // 4
    views = (gates[:, :, : 3 * H], gates[:, :, H : 3 * H], *gates.split(H, dim=2))
    return map(Step, *(view.unbind(0) for view in views))


def advance(step: Step, before: Tensor, weight: Tensor, after: Tensor) -> None:
    """From the state B,H before a step to that after it; `weight` H,3H is `turned`, transposed."""
    torch.addmm(step.filled, before, weight, out=step.filled)
    step.both.sigmoid_()
    tanh_(step.new.addcmul_(step.reset, step.hidden_new))
    torch.lerp(step.new, before, step.update, out=after)


def slopes(gates: Tensor, before: Tensor) -> Tensor:
    """What the gradient of a step's state must be multiplied by: T,B,4H in the same blocks, from
    the gates and the states T,B,H before.

    z and n: their slopes by the gradient of the state. u_n and r: by that of n, before tanh.
    """
    hidden_new, reset, update, new = gates.split(gates.shape[2] // 4, dim=2)
    T, B, size = gates.shape
    found = gates.new_empty(T, B, size + APART)[:, :, :size]
    to_hidden_new, to_reset, to_update, to_new = found.split(size // 4, dim=2)
    to_hidden_new.copy_(reset)
    torch.ops.aten.sigmoid_backward(hidden_new, reset, grad_input=to_reset)
    torch.sub(before, new, out=to_update)
    torch.ops.aten.sigmoid_backward(to_update, update, grad_input=to_update)
    torch.ops.aten.tanh_backward(1 - update, new, grad_input=to_new)
    return found


class StepBack(NamedTuple):
    """One step's slopes, which become gradients: what the state's product filled B,3H, what the
    input's filled B,3H, u_n and r B,2,H, z and n B,2,H, and n with a dimension B,1,H."""

    filled: Tensor
    inputs: Tensor
    first: Tensor
    second: Tensor
    new: Tensor


def each_back(found: Tensor) -> list[StepBack]:
    """The steps of T,B,4H."""
    H = found.shape[2] // 4
    pairs = found.unflatten(2, (2, 2, H))  # T,B,2,2,H
    views = (found[:, :, : 3 * H], found[:, :, H:], pairs[:, :, 0], pairs[:, :, 1])
    new = found[:, :, None, 3 * H :]
    return list(map(StepBack, *(view.unbind(0) for view in (*views, new))))


def go_back(step: StepBack, update: Tensor, gradient: Tensor, weight: Tensor) -> Tensor:
    """From the gradient B,H of the state after a step to that of the state before; `weight` 3H,H
    is `turned`."""
    step.second.mul_(gradient[:, None])
    step.first.mul_(step.new)
    return (gradient * update).addmm_(step.filled, weight)


class WeightGradients(NamedTuple):
    """Gradients of the weights 3H,H of the state and of the biases 3H of input and state."""

    recurrent: Tensor
    input_bias: Tensor
    bias: Tensor


def weight_gradients(found: Tensor, before: Tensor) -> WeightGradients:
    """From the gradients T,B,4H in place of the slopes, and the states T,B,H before."""
    H = before.shape[2]
    flat, states = found.flatten(0, 1), before.flatten(0, 1)
    recurrent = states.new_empty(3 * H, H)
    torch.mm(flat[:, :H].t(), states, out=recurrent[2 * H :])
    torch.mm(flat[:, H : 3 * H].t(), states, out=recurrent[: 2 * H])
    sums = flat.sum(0)
    return WeightGradients(recurrent, sums[H:], torch.cat((sums[H : 3 * H], sums[:H])))

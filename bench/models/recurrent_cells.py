"""GRU and LSTM layers that read a sequence at once or step by step, with the same parameters.

The parameters live in `nn.GRU` or `nn.LSTM`, so that whole sequences take PyTorch's fused calls.
Where a step needs what the step before produced (a context, an attentional hidden state), `Steps`
projects everything known beforehand for all positions at once and leaves in the loop the
recurrent projection, that of the extra input, and the gates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from bench.errors import unknown_name
from bench.models.layers import dropout

CELLS = ("gru", "lstm")


class Gru(nn.GRU):
    """PyTorch's GRU, with a faster way to train one layer and direction on a CPU in full precision
    (batch first, with biases)."""

    def forward(self, input: Any, hx: Any = None) -> Any:
        """Same arguments as in PyTorch: mostly B,T,I and, optionally, the states L,B,H before."""
        weights = self.all_weights[0]
        # Neither a single sequence nor packed ones.
        is_batch = isinstance(input, Tensor) and input.dim() == 3
        if not (self._is_plain and is_batch and _trains_on_cpu(input, weights[0])):
            return super().forward(input, hx)  # type: ignore[has-type]
        first = input.new_zeros(len(input), self.hidden_size) if hx is None else hx[0]
        outputs, last = _Layer.apply(input, first, *weights)
        return outputs, last[None]

    @property
    def _is_plain(self) -> bool:
        several = self.num_layers > 1 or self.bidirectional
        return self.batch_first and self.bias and not several


class Lstm(nn.LSTM):
    """An LSTM that keeps to its weights' precision on CPUs, whatever autocast says: not every
    CPU has a fused call in half precision, and PyTorch looks for none else."""

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """Same arguments as in PyTorch: B,S,I and, optionally, states and cells L,B,H before."""
        if input.device.type != "cpu":
            return super().forward(input, hx)  # type: ignore[has-type]
        kind = self.all_weights[0][0].dtype
        with torch.autocast("cpu", enabled=False):
            before = None if hx is None else tuple(states.to(kind) for states in hx)
            return super().forward(input.to(kind), before)  # type: ignore[has-type]


@dataclass(frozen=True)
class CellState:
    """States of all layers, each B,H; `cells` is empty for a GRU."""

    hidden: tuple[Tensor, ...]
    cells: tuple[Tensor, ...] = ()

    def zeros_like(self) -> CellState:
        """States of the same shapes, all zero."""
        hidden, cells = (tuple(map(torch.zeros_like, part)) for part in (self.hidden, self.cells))
        return CellState(hidden, cells)


class RecurrentStack(nn.Module):
    """A stack of GRU (Cho 2014) or LSTM (Hochreiter 1997) layers, left to right.

    Args:
        cell: "gru" or "lstm".
        input_size: size of the input known beforehand (embeddings).
        extra_size: size of the input that only the step before provides; 0 for none. It follows
            the known input in the columns of the first layer's weights.
        hidden: H.
        layers: number of layers.
        dropout: probability between layers.

    Raises:
        UsageError: no such cell.
    """

    def __init__(
        self,
        cell: str,
        input_size: int,
        hidden: int,
        *,
        extra_size: int = 0,
        layers: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.input_size, self.hidden, self.layers = input_size, hidden, layers
        self.lstm = is_lstm(cell)
        self.dropout = dropout
        self.rnn = recurrent_layers(cell, input_size + extra_size, hidden, layers, dropout)

    def forward(self, inputs: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        """Read all positions B,T,I in one fused call; return the top layer's states B,T,H and the
        last state."""
        hidden = torch.stack(state.hidden).to(inputs.dtype)  # L,B,H
        if not self.lstm:
            outputs, last = self.rnn(inputs, hidden)
            return outputs, CellState(last.unbind(0))
        cells = torch.stack(state.cells).to(inputs.dtype)
        outputs, (last, last_cells) = self.rnn(inputs, (hidden, cells))
        return outputs, CellState(last.unbind(0), last_cells.unbind(0))

    def steps(self, known: Tensor, places: Tensor | None = None) -> Steps:
        """Prepare to step along B,T,E known inputs. Where rows repeat, `known` may hold each once,
        and `places` B the row of each example."""
        return Steps(self, known, places)


class Steps:
    """The steps of a stack along one batch.

    Lives for one call and holds the parameters in the layout of the loop's products.
    """

    def __init__(self, stack: RecurrentStack, known: Tensor, places: Tensor | None = None) -> None:
        self._stack, size = stack, stack.input_size
        # Of each layer with G gates: weights GH,I and GH,H, biases GH of input and state.
        layers = stack.rnn.all_weights
        weight, _, input_bias, _ = layers[0]
        projected = F.linear(known, weight[:, :size], input_bias)  # B,T,GH
        if places is not None:
            projected = projected.index_select(0, places)
        self._known = projected.unbind(1)
        self._extra = _for_products(weight[:, size:])
        self._recurrent = [(_for_products(recurrent), bias) for _, recurrent, _, bias in layers]
        self._inputs = [(_for_products(weight), bias) for weight, _, bias, _ in layers[1:]]

    def __call__(self, step: int, extra: Tensor, state: CellState) -> CellState:
        """The state after position `step`, given B,X extra input and the state before."""
        stack = self._stack
        projected = torch.addmm(self._known[step], extra, self._extra)  # B,GH
        hidden: list[Tensor] = []
        cells: list[Tensor] = []
        for layer, (weight, bias) in enumerate(self._recurrent):
            if layer:
                below = dropout(hidden[-1], stack.dropout, stack.training)
                input_weight, input_bias = self._inputs[layer - 1]
                projected = torch.addmm(input_bias, below, input_weight)
            recurrent = torch.addmm(bias, state.hidden[layer], weight)  # B,GH
            if stack.lstm:
                h, c = _lstm(projected, recurrent, state.cells[layer])
                cells.append(c)
            else:
                h = _gru(projected, recurrent, state.hidden[layer])
            hidden.append(h)
        return CellState(tuple(hidden), tuple(cells))


def _gru(projected: Tensor, recurrent: Tensor, hidden: Tensor) -> Tensor:
    """One GRU step: projections B,3H of input and state (biases included) to the state B,H."""
    size = hidden.shape[1]
    input_gates, input_new = projected.split((2 * size, size), dim=1)
    hidden_gates, hidden_new = recurrent.split((2 * size, size), dim=1)
    reset, update = torch.sigmoid(input_gates + hidden_gates).chunk(2, dim=1)
    new = torch.tanh(torch.addcmul(input_new, reset, hidden_new))
    return torch.lerp(new, hidden, update)  # new + update * (hidden - new)


def _lstm(projected: Tensor, recurrent: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """One LSTM step: projections B,4H (biases included) to the state and the cell, both B,H."""
    enter, forget, new, leave = (projected + recurrent).chunk(4, dim=1)
    kept = torch.sigmoid(forget) * cell
    cell = torch.addcmul(kept, torch.sigmoid(enter), torch.tanh(new))
    return torch.sigmoid(leave) * torch.tanh(cell), cell


def _for_products(weight: Tensor) -> Tensor:
    # Autocast keeps its casts of parameters but not of views, which every step would cast anew.
    kind = weight.device.type
    if torch.is_autocast_enabled(kind):
        weight = weight.to(torch.get_autocast_dtype(kind))
    return weight.t()


def is_lstm(cell: str) -> bool:
    """Whether the cell is an LSTM. Raises UsageError unless it is "gru" or "lstm"."""
    if cell not in CELLS:
        raise unknown_name("cell", cell, CELLS)
    return cell == "lstm"


def recurrent_layers(
    cell: str, input_size: int, hidden: int, layers: int = 1, dropout: float = 0.0
) -> Gru | Lstm:
    """Layers of one direction with orthogonal recurrent weights gate by gate (Saxe 2014), Xavier's
    weights for inputs, and zero biases, except 1 for the LSTM's forget gate (Jozefowicz 2015)."""
    between = dropout if layers > 1 else 0.0
    rnn = (Lstm if is_lstm(cell) else Gru)(
        input_size, hidden, layers, batch_first=True, dropout=between
    )
    for name, parameter in rnn.named_parameters():
        if name.startswith("bias"):
            nn.init.zeros_(parameter)
            if isinstance(rnn, nn.LSTM) and name.startswith("bias_ih"):
                parameter.data[hidden : 2 * hidden] = 1.0
            continue
        recurrent = name.startswith("weight_hh")
        for gate in parameter.data.split(hidden):
            (nn.init.orthogonal_ if recurrent else nn.init.xavier_uniform_)(gate)
    return rnn


# A GRU layer trained faster than PyTorch's on CPUs, with the way back written out.
#
# Autograd's record of a step is a dozen small operations, a gradient of the weights among them.
# Here the gates of all steps lie in one piece of memory, what the way back needs of them is made
# for all steps at once, and so are the gradients of the weights; only what must be stepwise is in
# a loop.
#
# With r, z, n the reset, update and new gates of PyTorch's GRU (Cho 2014), x the projected input
# and u the projected state: n = tanh(x_n + r u_n), h = n + z (h_before - n). The gates of a step
# lie in the order u_n, r, z, n: blocks 0 to 2 are what the state's product fills, 1 to 3 what the
# input's does.

#: Numbers between rows of gates: rows a power of two apart share places in the cache.
APART = 16


def _trains_on_cpu(input: Tensor, weight: Tensor) -> bool:
    """Whether a function with a hand-written gradient may be used."""
    return (
        torch.is_grad_enabled()
        and input.dtype in (torch.float32, torch.float64)
        and weight.dtype == input.dtype
        and input.device.type == weight.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
        and not torch._C._are_functorch_transforms_active()  # which differentiate none
    )


class _Layer(torch.autograd.Function):
    """GRU layer: inputs B,T,I, the state B,H before, weights 3H,I and 3H,H, and biases 3H of input
    and state, to the states B,T,H and the last one."""

    @staticmethod
    def forward(
        ctx: Any,
        inputs: Tensor,
        first: Tensor,
        weight: Tensor,
        recurrent: Tensor,
        input_bias: Tensor,
        bias: Tensor,
    ) -> tuple[Tensor, Tensor]:
        (B, T, _), H = inputs.shape, first.shape[1]
        flat = inputs.transpose(0, 1).flatten(0, 1)  # T*B,I, time first
        states = first.new_empty(T + 1, B, H)
        states[0] = first
        # The inputs' products, and all biases; u_n has its own, since r scales it.
        gates = _gates(T, B, H, like=first)
        rows = gates.flatten(0, 1)  # T*B,4H
        shared = torch.cat((input_bias[: 2 * H] + bias[: 2 * H], input_bias[2 * H :]))
        torch.addmm(shared, flat, weight.t(), out=rows[:, H:])
        rows[:, :H] = bias[2 * H :]
        state_weights = _in_gate_order(recurrent).t()  # H,3H
        hidden_new, reset, update, new = gates.split(H, dim=2)
        views = (gates[:, :, : 3 * H], gates[:, :, H : 3 * H], hidden_new, reset, update, new)
        steps = (view.unbind(0) for view in (*views, states[:-1], states[1:]))
        for filled, r_and_z, u_n, r, z, n, before, after in zip(*steps, strict=True):
            torch.addmm(filled, before, state_weights, out=filled)
            r_and_z.sigmoid_()
            n.addcmul_(r, u_n).tanh_()
            torch.lerp(n, before, z, out=after)
        ctx.save_for_backward(flat, weight, recurrent, gates, states)
        return states[1:].transpose(0, 1), states[-1].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outputs: Tensor, last: Tensor) -> tuple[Tensor, ...]:
        flat, weight, recurrent, gates, states = ctx.saved_tensors
        H = states.shape[2]
        state_weights = _in_gate_order(recurrent)  # 3H,H
        # Slopes of all steps, which become gradients step by step: z and n are multiplied by that
        # of the state, u_n and r by that of n, before tanh.
        found = _slopes(gates, states[:-1])  # T,B,4H
        pairs = found.unflatten(2, (2, 2, H))  # T,B,2,2,H: u_n and r, z and n
        views = (found[:, :, : 3 * H], pairs[:, :, 0], pairs[:, :, 1], found[:, :, None, 3 * H :])
        update = gates[:, :, 2 * H : 3 * H]
        steps = [view.unbind(0) for view in (*views, update, outputs.transpose(0, 1))]
        gradient = last
        for filled, u_n_and_r, z_and_n, n, z, output in zip(*map(reversed, steps), strict=True):
            gradient = gradient + output
            z_and_n.mul_(gradient[:, None])
            u_n_and_r.mul_(n)
            gradient = (gradient * z).addmm_(filled, state_weights)
        # Gradients of inputs, weights and biases, for all steps at once.
        rows, before = found.flatten(0, 1), states[:-1].flatten(0, 1)  # T*B,4H and T*B,H
        of_inputs = rows[:, H:]  # T*B,3H
        to_inputs = (of_inputs @ weight).unflatten(0, found.shape[:2]).transpose(0, 1)
        to_recurrent = torch.empty_like(recurrent)
        torch.mm(rows[:, :H].t(), before, out=to_recurrent[2 * H :])
        torch.mm(rows[:, H : 3 * H].t(), before, out=to_recurrent[: 2 * H])
        sums = rows.sum(0)  # 4H
        to_bias = torch.cat((sums[H : 3 * H], sums[:H]))
        return to_inputs, gradient, of_inputs.t() @ flat, to_recurrent, sums[H:], to_bias


def _gates(steps: int, batch: int, size: int, like: Tensor) -> Tensor:
    """Allocate gates T,B,4H, not initialised."""
    return like.new_empty(steps, batch, 4 * size + APART)[:, :, : 4 * size]


def _in_gate_order(recurrent: Tensor) -> Tensor:
    """Reorder the weights 3H,H of the state to the order of the gates."""
    H = recurrent.shape[1]
    return torch.cat((recurrent[2 * H :], recurrent[: 2 * H]))


def _slopes(gates: Tensor, before: Tensor) -> Tensor:
    """Derivatives T,B,4H of each step's state by its gates, in their order, from the gates and the
    states T,B,H before."""
    T, B, H = before.shape
    hidden_new, reset, update, new = gates.split(H, dim=2)
    found = _gates(T, B, H, like=gates)
    to_hidden_new, to_reset, to_update, to_new = found.split(H, dim=2)
    to_hidden_new.copy_(reset)
    torch.ops.aten.sigmoid_backward(hidden_new, reset, grad_input=to_reset)
    torch.sub(before, new, out=to_update)
    torch.ops.aten.sigmoid_backward(to_update, update, grad_input=to_update)
    torch.ops.aten.tanh_backward(1 - update, new, grad_input=to_new)
    return found

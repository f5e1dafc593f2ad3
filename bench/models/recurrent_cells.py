"""GRU and LSTM layers that read a sequence at once or step by step, with the same parameters.

The parameters live in `nn.GRU` or `nn.LSTM`, so that whole sequences take PyTorch's fused calls.
Where a step needs what the step before produced (a context, an attentional vector), `Steps`
projects everything known beforehand for all positions at once and leaves in the loop the
recurrent projection, that of the extra input, and the gates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.errors import UsageError, unknown_name
from bench.models.gru import Gru
from bench.models.layers import dropout

CELLS = ("gru", "lstm")


class Lstm(nn.LSTM):
    """An LSTM that keeps to its weights' precision on CPUs, whatever autocast says: not every
    CPU has a fused call in half precision, and PyTorch looks for none else."""

    def forward(self, input: Tensor, hx: Any = None) -> Any:
        """As in PyTorch: B,S,I and, optionally, the states L,B,H and cells L,B,H before."""
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

    def emptied(self) -> CellState:
        """Zeros in their place."""
        return CellState(
            *(tuple(map(torch.zeros_like, part)) for part in (self.hidden, self.cells))
        )


class RecurrentStack(nn.Module):
    """Layers of GRU (Cho 2014) or LSTM (Hochreiter 1997) cells, left to right.

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
        self.rnn = (Lstm if self.lstm else Gru)(
            input_size + extra_size,
            hidden,
            layers,
            batch_first=True,
            dropout=dropout if layers > 1 else 0.0,
        )
        initialise_recurrent(self.rnn)

    def forward(self, inputs: Tensor, state: CellState) -> tuple[Tensor, CellState]:
        """All positions in one fused call: B,T,I to the top layer's B,T,H and the last state."""
        hidden = torch.stack(state.hidden).to(inputs.dtype)  # L,B,H
        if not self.lstm:
            outputs, last = self.rnn(inputs, hidden)
            return outputs, CellState(last.unbind(0))
        cells = torch.stack(state.cells).to(inputs.dtype)
        outputs, (last, last_cells) = self.rnn(inputs, (hidden, cells))
        return outputs, CellState(last.unbind(0), last_cells.unbind(0))

    def steps(self, known: Tensor, places: Tensor | None = None) -> Steps:
        """Make ready to walk along B,T,E known inputs, step by step. Where they repeat, rows for
        B `places` in fewer known inputs can be walked along."""
        return Steps(self, known, places)


class Steps:
    """One walk of a stack along one batch.

    Lives for one call: it holds the parameters as the products in the loop want them.
    """

    def __init__(self, stack: RecurrentStack, known: Tensor, places: Tensor | None = None) -> None:
        self._stack, size = stack, stack.input_size
        layers = [_layer_parameters(stack.rnn, layer) for layer in range(stack.layers)]
        first = layers[0]
        projected = F.linear(known, first.inputs[:, :size], first.input_bias)  # B,T,GH
        if places is not None:
            projected = projected.index_select(0, places)
        self._known = projected.unbind(1)
        self._extra = _for_products(first.inputs[:, size:])
        self._recurrent = [(_for_products(one.recurrent), one.bias) for one in layers]
        self._inputs = [(_for_products(one.inputs), one.input_bias) for one in layers[1:]]

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


class _LayerParameters(NamedTuple):
    """Weights GH,I and GH,H and biases GH of one layer, for G gates."""

    inputs: Tensor
    recurrent: Tensor
    input_bias: Tensor
    bias: Tensor


def _layer_parameters(rnn: nn.GRU | nn.LSTM, layer: int) -> _LayerParameters:
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    return _LayerParameters(*(getattr(rnn, f"{name}_l{layer}") for name in names))


def _gru(projected: Tensor, recurrent: Tensor, hidden: Tensor) -> Tensor:
    """Gates of PyTorch's GRU: B,3H projections of input and state, biases in, to B,H."""
    size = hidden.shape[1]
    input_gates, input_new = projected.split((2 * size, size), dim=1)
    hidden_gates, hidden_new = recurrent.split((2 * size, size), dim=1)
    reset, update = torch.sigmoid(input_gates + hidden_gates).chunk(2, dim=1)
    new = torch.tanh(torch.addcmul(input_new, reset, hidden_new))
    return torch.lerp(new, hidden, update)  # new + update * (hidden - new)


def _lstm(projected: Tensor, recurrent: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
    """Gates of PyTorch's LSTM: B,4H projections, biases in, to the state and the cell B,H."""
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
    """Raises UsageError for what is neither "gru" nor "lstm"."""
    if cell not in CELLS:
        raise unknown_name("cell", cell, CELLS)
    return cell == "lstm"


def initialise_recurrent(rnn: nn.GRU | nn.LSTM) -> None:
    """Orthogonal recurrent weights gate by gate (Saxe 2014), Xavier's for the inputs, biases 0
    but for the LSTM's forget gate, which starts open at 1 (Jozefowicz 2015)."""
    size = rnn.hidden_size
    for name, parameter in rnn.named_parameters():
        if name.startswith("weight_hh"):
            for gate in parameter.data.split(size):
                nn.init.orthogonal_(gate)
        elif name.startswith("weight_ih"):
            for gate in parameter.data.split(size):
                nn.init.xavier_uniform_(gate)
        else:
            nn.init.zeros_(parameter)
            if isinstance(rnn, nn.LSTM) and name.startswith("bias_ih"):
                parameter.data[size : 2 * size] = 1.0


def halved(hidden: int) -> int:
    """H of each direction of a bidirectional layer.

    Raises:
        UsageError: an odd size.
    """
    if hidden % 2:
        raise UsageError(
            f"hidden={hidden} cannot be shared by two directions", remedy="use an even size"
        )
    return hidden // 2

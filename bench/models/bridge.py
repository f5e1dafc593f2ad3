"""From the fixed vector to the first state of a recurrent decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.models.recurrent_cells import CellState, is_lstm


class Bridge(nn.Module):
    """tanh(W summary + b) for the state of every layer (Bahdanau 2015, appendix A.2.2), and for
    the cell of every LSTM layer, all in one product."""

    def __init__(self, summary_size: int, cell: str, hidden: int, layers: int) -> None:
        super().__init__()
        self.hidden, self.layers = hidden, layers
        self.project = nn.Linear(summary_size, layers * hidden * (2 if is_lstm(cell) else 1))
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)

    def forward(self, summary: Tensor) -> CellState:
        """B,D to the states of all layers, each B,H."""
        states = torch.tanh(self.project(summary)).split(self.hidden, dim=1)
        return CellState(states[: self.layers], states[self.layers :])

"""Recurrent encoder: GRU or LSTM, one way or both ways."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from bench.attention.memory import Memory, zero_padding
from bench.models.base import Encoder, ModelSizes
from bench.models.dropout import dropout
from bench.models.gru_sequence import Gru
from bench.models.layers import resize
from bench.models.recurrent_cells import Lstm, halved, initialise_recurrent, is_lstm


class RecurrentEncoder(Encoder):
    """Bidirectional GRU or LSTM (Bahdanau 2015, appendix A.2.1), or left to right only.

    The backward direction reads every sequence reversed within its own length, so that padding
    comes after the real positions for both directions and never reaches a state that counts.
    That needs neither sorting nor packing, and each direction is one fused call.

    The summary is the last forward state and the first backward state of the top layer.

    Raises:
        UsageError: an odd hidden size for two directions.
    """

    def __init__(self, input_size: int, sizes: ModelSizes) -> None:
        super().__init__()
        self.output_size = sizes.hidden
        self.dropout = sizes.dropout
        self.forwards, self.backwards = nn.ModuleList(), nn.ModuleList()
        self.skip = resize(input_size, sizes.hidden) if sizes.residual else None
        hidden = halved(sizes.hidden) if sizes.bidirectional else sizes.hidden
        for layer in range(sizes.encoder_layers):
            size = sizes.hidden if layer else input_size
            self.forwards.append(_direction(sizes.cell, size, hidden))
            if sizes.bidirectional:
                self.backwards.append(_direction(sizes.cell, size, hidden))

    def forward(self, features: Tensor, mask: Tensor, segments: Tensor | None = None) -> Memory:
        last = mask.sum(dim=1) - 1  # B
        reversal = _reversal(last, mask.shape[1])  # B*S
        states = features
        for layer, forwards in enumerate(self.forwards):
            if layer:
                states = dropout(states, self.dropout, self.training)
            onwards, _ = forwards(states)  # B,S,H
            if not self.backwards:
                states = onwards
                continue
            turned, _ = self.backwards[layer](_reorder(states, reversal))
            states = torch.cat((onwards, _reorder(turned, reversal)), dim=2)  # B,S,2H
        if self.skip is not None:
            states = states + self.skip(features)
        size = onwards.shape[2]
        ends = states[torch.arange(len(last), device=last.device), last, :size]  # B,H
        summary = torch.cat((ends, states[:, 0, size:]), dim=1)  # B,D
        return Memory(zero_padding(states, mask), mask, summary, segments=segments)


def _direction(cell: str, input_size: int, hidden: int) -> nn.Module:
    layer = (Lstm if is_lstm(cell) else Gru)(input_size, hidden, batch_first=True)
    initialise_recurrent(layer)
    return layer


def _reversal(last: Tensor, size: int) -> Tensor:
    """B*S: the positions of each row from the last real one down to 0, then the padding as it
    stands, as places in the flattened batch. Applied twice it changes nothing."""
    positions = torch.arange(size, device=last.device)[None, :]
    turned = last[:, None] - positions
    rows = torch.arange(len(last), device=last.device)[:, None] * size
    return (torch.where(turned >= 0, turned, positions) + rows).flatten()


def _reorder(states: Tensor, places: Tensor) -> Tensor:
    """B,S,D with its B*S positions rearranged; whole rows are copied, which `gather` is not
    made for (4 to 8 times as slow on a CPU)."""
    return states.flatten(0, 1).index_select(0, places).view(states.shape)

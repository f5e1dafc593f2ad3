"""The parts of convolutional encoders and decoders (Gehring 2017).

Initialisation follows section 3.5: the variance of activations is kept from layer to layer, by
weights N(0, p/n) of layers whose input passes dropout, kept with probability p, and n inputs a
neuron, four times that before a gated linear unit, which quarters it.
"""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn

from bench.models.dropout import dropout

#: Scale of the sum of a residual block's input and output, to halve the variance (section 3.4).
HALVE = math.sqrt(0.5)


class GatedConvolution(nn.Module):
    """Convolution to twice the size, then a gated linear unit (Dauphin 2017): no padding of its
    own, so B,N,H becomes B,N-kernel+1,H."""

    def __init__(self, hidden: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.dropout = dropout
        self.convolution = nn.Conv1d(hidden, 2 * hidden, kernel)
        deviation = math.sqrt(4 * (1 - dropout) / (kernel * hidden))
        nn.init.normal_(self.convolution.weight, std=deviation)
        bias = self.convolution.bias
        assert bias is not None
        nn.init.zeros_(bias)

    def forward(self, states: Tensor) -> Tensor:
        dropped = dropout(states, self.dropout, self.training)
        return F.glu(self.convolution(dropped.transpose(1, 2)), dim=1).transpose(1, 2)


def projection(inputs: int, outputs: int, *, dropout: float = 0.0) -> nn.Linear:
    """A linear layer initialised as in section 3.5; `dropout` is that of its input."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=math.sqrt((1 - dropout) / inputs))
    nn.init.zeros_(layer.bias)
    return layer

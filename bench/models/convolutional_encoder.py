"""Convolutional encoder."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.memory import Memory, zero_padding
from bench.models.base import Encoder, ModelSizes
from bench.models.convolutional_layers import HALVE, GatedConvolution, projection
from bench.models.layers import masked_mean, resize
from bench.models.positions import LearnedPositions


class ConvolutionalEncoder(Encoder):
    """Gated convolutions with residual connections over features e with learned positions
    (Gehring 2017, section 3.2).

    The memory's states z are what is scored, its values z + e what is averaged (equation 2). Both
    have the size of embeddings, as have the decoder's queries. Padding is zeroed before every
    convolution. The summary is the mean of the real values.

    Args:
        attending: number of decoder layers that attend; the gradient that comes back through z
            is divided by it (section 3.4).
    """

    def __init__(self, input_size: int, sizes: ModelSizes, attending: int = 1) -> None:
        super().__init__()
        self.output_size = sizes.embedding
        self.kernel, self.attending = sizes.kernel, attending
        self.enter = resize(input_size, sizes.embedding)
        self.positions = LearnedPositions(sizes.max_positions, sizes.embedding)
        self.widen = projection(sizes.embedding, sizes.hidden, dropout=sizes.dropout)
        self.layers = nn.ModuleList(
            GatedConvolution(sizes.hidden, sizes.kernel, sizes.dropout)
            for _ in range(sizes.encoder_layers)
        )
        self.narrow = projection(sizes.hidden, sizes.embedding)

    def forward(self, features: Tensor, mask: Tensor, segments: Tensor | None = None) -> Memory:
        embedded = self.enter(features)  # B,S,E
        embedded = embedded + self.positions(0, embedded.shape[1])
        embedded = zero_padding(embedded, mask)
        states = self.widen(embedded)  # B,S,H
        before = (self.kernel - 1) // 2
        around = (0, 0, before, self.kernel - 1 - before)
        for layer in self.layers:
            states = zero_padding(states, mask)
            states = (layer(F.pad(states, around)) + states) * HALVE
        states = zero_padding(self.narrow(states), mask)  # B,S,E
        states = _scale_gradient(states, 1 / self.attending)
        values = states + embedded
        return Memory(states, mask, masked_mean(values, mask), values=values, segments=segments)


def _scale_gradient(tensor: Tensor, factor: float) -> Tensor:
    """The same values, whose gradient is multiplied by `factor` on the way back."""
    if factor == 1.0 or not tensor.requires_grad:
        return tensor
    scaled = tensor * factor
    return scaled + (tensor - scaled).detach()

"""Audio front ends: from long sequences of frames to shorter sequences of richer features.

Frames come every 10 ms or so, far denser than anything that is attended to. A front end shortens
them by its stride before an encoder of any family reads them. It knows nothing of sound.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import zero_padding
from bench.models.base import ModelConfig
from bench.models.layers import dropout
from bench.models.recurrent import RecurrentEncoder

#: Factor by which one layer shortens its input.
STEP = 2


class FrameFront(nn.Module, ABC):
    """A front end: frames and their mask to features and their mask.

    Attributes:
        output_size: E, size of the features.
        stride: frames per feature.
        offset: where the first feature has its centre, in frames.
    """

    output_size: int
    stride: int
    offset: float

    @classmethod
    @abstractmethod
    def timing(cls, layers: int) -> tuple[int, float]:
        """Stride and offset of a front end of so many layers."""

    @abstractmethod
    def forward(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Shorten the frames. Padding changes nothing.

        Args:
            frames: B,S,F.
            mask: B,S bool, True where real, False at the end.

        Returns:
            Features B,S',E, 0 where padding, and their mask B,S', with S' = S / stride rounded up.
        """


class ConvolutionalFront(FrameFront):
    """Convolutions over time of stride 2, each with layer norm, ReLU and dropout.

    Args:
        input_size: F.
        size: channels of every layer, E.
        layers: the stride is 2 to their power; 0 leaves the frames as they are.
        kernel: width of the convolutions in positions of their input, odd.
        dropout: probability after each layer.
    """

    def __init__(
        self, input_size: int, size: int, *, layers: int, kernel: int = 5, dropout: float = 0.0
    ) -> None:
        super().__init__()
        assert kernel % 2 == 1, "a centred convolution has an odd width"
        self.output_size = size if layers else input_size
        self.stride, self.offset = self.timing(layers)
        self.dropout = dropout
        self.convolutions = nn.ModuleList(
            nn.Conv1d(size if layer else input_size, size, kernel, STEP, kernel // 2)
            for layer in range(layers)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(size) for _ in range(layers))

    @classmethod
    def timing(cls, layers: int) -> tuple[int, float]:
        return STEP**layers, 0.0

    def forward(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        features = zero_padding(frames, mask)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            features = convolution(features.transpose(1, 2)).transpose(1, 2)  # B,S',E
            features = dropout(F.relu(norm(features)), self.dropout, self.training)
            mask = halved_mask(mask)
            features = zero_padding(features, mask)
        return features, mask


class PyramidalFront(FrameFront):
    """A pyramid of recurrent layers: each reads pairs of what the one below made (Chan 2016,
    equation 5), here from the frames on.

    Args:
        input_size: F.
        size: states of both directions together, E; even.
        layers: the stride is 2 to their power; 0 leaves the frames as they are.
        cell: "gru" or "lstm".
        dropout: probability after each layer.

    Raises:
        UsageError: an odd size, or no such cell.
    """

    def __init__(
        self, input_size: int, size: int, *, layers: int, cell: str = "gru", dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.output_size = size if layers else input_size
        self.stride, self.offset = self.timing(layers)
        self.dropout = dropout
        config = ModelConfig(hidden_dim=size, encoder_layers=1, rnn_type=cell, bidirectional=True)
        self.layers = nn.ModuleList(
            RecurrentEncoder(STEP * (size if layer else input_size), config)
            for layer in range(layers)
        )

    @classmethod
    def timing(cls, layers: int) -> tuple[int, float]:
        return STEP**layers, (STEP**layers - 1) / 2

    def forward(self, frames: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        features = zero_padding(frames, mask)
        for layer in self.layers:
            features, mask = paired(features), halved_mask(mask)
            features = dropout(layer(features, mask).states, self.dropout, self.training)
        return features, mask


def paired(states: Tensor) -> Tensor:
    """Join every two states, B,S,D to B,S',2D, with zeros beside an unpaired last one."""
    if states.shape[1] % STEP:
        states = F.pad(states, (0, 0, 0, 1))
    return torch.cat((states[:, ::STEP], states[:, 1::STEP]), dim=2)


def halved_mask(mask: Tensor) -> Tensor:
    """Mask B,S' of every two positions of the mask B,S: real where the first of them is."""
    return mask[:, ::STEP]

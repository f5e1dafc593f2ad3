"""Image encoder: from pixels, by a small convolutional network, or from features of a pretrained
one to annotation vectors, and the encoder of the grid that they form."""

from __future__ import annotations

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import Memory
from bench.errors import UsageError
from bench.models import AttentionChoice, build_encoder
from bench.models.base import Encoder, ModelConfig
from bench.models.layers import dropout, linear, masked_mean, resize

#: Pixels are centred and scaled to about unit variance.
_CENTRE, _SPREAD = 127.5, 32.0


class PictureFront(nn.Module):
    """Pictures B,H,W,3 (uint8, RGB) to annotation vectors B,L,D in raster order (Xu 2015, 3.1.1).

    Square patches are projected to `width` channels, one every `stem` pixels; they overlap by
    half, so that it matters less where a thing lies among them. Each stage then halves the
    picture and doubles the channels, with pre-activation residual blocks (He 2016) behind the
    convolution that does so. Every cell of the last map is projected to D. Trained from scratch:
    norms over a whole picture in place of batch norms, so that an example's result does not depend
    on its batch.

    Args:
        size: pixels along each side of the picture.
        output_size: D.
        stem: pixels from patch to patch; a patch is twice as large.
        width: channels of a patch.
        stages: how often the picture is halved.
        blocks: residual blocks of each stage.
        dropout: probability, on the annotation vectors.

    Attributes:
        grid: rows and columns of the L cells.

    Raises:
        UsageError: a size that cells do not divide.
    """

    def __init__(
        self,
        size: int,
        output_size: int,
        *,
        stem: int = 4,
        width: int = 64,
        stages: int = 1,
        blocks: int = 1,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.grid = grid_of(size, stem, stages)
        self.output_size, self.dropout = output_size, dropout
        patch = 2 * stem - stem % 2
        layers: list[nn.Module] = [
            _convolution(3, width, patch, stride=stem, padding=(patch - stem) // 2)
        ]
        for _ in range(stages):
            layers += [_Activated(width, _convolution(width, 2 * width, 3, stride=2))]
            width *= 2
            layers += [_Residual(width) for _ in range(blocks)]
        self.layers = nn.Sequential(*layers)
        self.layers.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.norm = _norm(width)
        self.project = nn.Linear(width, output_size)

    def forward(self, pictures: Tensor) -> Tensor:
        pixels = (pictures.to(self.project.weight.dtype) - _CENTRE) / _SPREAD
        # The pixels' own order in memory is channels last, the fastest for convolutions.
        cells = self.layers(pixels.permute(0, 3, 1, 2))  # B,C,rows,columns
        vectors = F.relu(self.norm(cells)).permute(0, 2, 3, 1).flatten(1, 2)  # B,L,C
        return dropout(self.project(vectors), self.dropout, self.training)  # B,L,D


class FeatureFront(nn.Module):
    """Features B,L,C of a pretrained network, which is fixed, to annotation vectors B,L,D: a linear
    layer, a norm and dropout."""

    def __init__(self, input_size: int, output_size: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.output_size, self.dropout = output_size, dropout
        self.project = linear(input_size, output_size)
        self.norm = nn.LayerNorm(output_size)

    def forward(self, features: Tensor) -> Tensor:
        vectors = self.norm(self.project(features.to(self.project.weight.dtype)))  # B,L,D
        return dropout(vectors, self.dropout, self.training)


def grid_of(size: int, stem: int, stages: int) -> tuple[int, int]:
    """Return rows and columns of the annotation vectors of a picture of `size` pixels a side.

    Raises UsageError for a size that cells do not divide.
    """
    cell = stem * 2**stages
    if size % cell:
        raise UsageError(
            f"pictures of {size} pixels do not divide into cells of {cell}",
            where="--set size",
            remedy=f"choose a multiple of {cell}, or other values of stem and stages",
        )
    return size // cell, size // cell


class _Activated(nn.Module):
    """Norm, ReLU, then a layer, over B,C,H,W."""

    def __init__(self, channels: int, layer: nn.Conv2d) -> None:
        super().__init__()
        self.norm, self.layer = _norm(channels), layer

    def forward(self, maps: Tensor) -> Tensor:
        return self.layer(F.relu(self.norm(maps)))


def _norm(channels: int) -> nn.GroupNorm:
    """A norm over all cells and channels of a picture at once: normed one by one, empty cells would
    weigh as much as the others."""
    return nn.GroupNorm(1, channels)


class _Residual(nn.Module):
    """x + conv(relu(norm(conv(relu(norm(x)))))), which begins as the identity. B,C,H,W."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _Activated(channels, _convolution(channels, channels, 3))
        self.second = _Activated(channels, _convolution(channels, channels, 3))
        nn.init.zeros_(self.second.layer.weight)

    def forward(self, maps: Tensor) -> Tensor:
        return maps + self.second(self.first(maps))


def _convolution(
    inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 1
) -> nn.Conv2d:
    layer = nn.Conv2d(inputs, outputs, kernel, stride, padding)
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


#: Standard deviation of the first vectors of rows and columns, about that of annotation vectors:
#: with less, the place of a cell would be lost beside its content.
_GRID_SPREAD = 0.5


class GridEncoder(Encoder):
    """Encoder of annotation vectors: each cell gets a learned vector for its row and its column.

    In the recurrent families nothing is recurrent over a picture: these vectors are the states,
    and their mean is the summary, which the decoder's first state is made of (Xu 2015, 3.1.2).
    In the other families the family's own encoder reads them in raster order, with the positions
    of a sequence on top of ours.

    Args:
        choice: picks the family.
        grid: rows and columns.
        input_size: size of the annotation vectors.
        config: of the model; states have the size `hidden_dim`, or what the family makes of it.
        regions: the picture is parted into so many regions along each side, as equal as cells
            allow; they are the segments of `hierarchical`.

    Raises:
        UsageError: more regions than cells, or sizes that do not fit the family.
    """

    def __init__(
        self,
        choice: AttentionChoice,
        grid: tuple[int, int],
        input_size: int,
        config: ModelConfig,
        regions: int,
    ) -> None:
        super().__init__()
        rows, columns = grid
        if regions > min(rows, columns):
            raise UsageError(
                f"{rows} x {columns} cells cannot be parted into {regions} x {regions} regions",
                where="--set regions",
                remedy=f"at most {min(rows, columns)}",
            )
        self.grid = grid
        self.enter = resize(input_size, config.hidden_dim)
        self.rows = nn.Parameter(torch.randn(rows, 1, config.hidden_dim) * _GRID_SPREAD)
        self.columns = nn.Parameter(torch.randn(1, columns, config.hidden_dim) * _GRID_SPREAD)
        # Region of every cell, L int64, regions numbered in raster order.
        down, across = (torch.arange(size) * regions // size for size in grid)
        segments = (down[:, None] * regions + across).flatten()
        self.register_buffer("segments", segments, persistent=False)
        self.inner: Encoder | None = None
        if choice.backbone != "recurrent":
            self.inner = build_encoder(choice, config.hidden_dim, config)
        self.output_size = config.hidden_dim if self.inner is None else self.inner.output_size

    def forward(self, features: Tensor, mask: Tensor, segments: Tensor | None = None) -> Memory:
        """Encode B,L,E annotation vectors; `segments` B,L take the place of the regions."""
        places = (self.rows + self.columns).flatten(0, 1)  # L,H
        states = self.enter(features) + places  # B,L,H
        if segments is None:
            assert isinstance(self.segments, Tensor)
            segments = self.segments.expand(mask.shape)
        if self.inner is not None:
            return replace(self.inner(states, mask, segments), grid=self.grid)
        return Memory(states, mask, masked_mean(states, mask), segments=segments, grid=self.grid)

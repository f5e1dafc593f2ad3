"""Annotation vectors of a picture to a memory with a grid."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from bench.attention.memory import Memory
from bench.errors import UsageError
from bench.models.base import Encoder, ModelSizes
from bench.models.build import AttentionChoice, build_encoder
from bench.models.layers import masked_mean, resize

#: Of what rows and columns begin with: about that of annotation vectors, or where a cell lies could
#: not be told beside what it shows.
_SPREAD = 0.5


class GridEncoder(Encoder):
    """Cells get a learned vector for their row and one for their column.

    In the recurrent families nothing is recurrent over a picture: these vectors are the states,
    and their mean is the summary, which the decoder's first state is made of (Xu 2015, 3.1.2).
    In the other families the family's own encoder reads them in raster order, with the positions
    of a sequence on top of ours.

    Args:
        choice: picks the family.
        grid: rows and columns.
        input_size: size of the annotation vectors.
        sizes: of the model; states have the size `hidden`, or what the family makes of it.
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
        sizes: ModelSizes,
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
        self.enter = resize(input_size, sizes.hidden)
        self.rows = nn.Parameter(torch.randn(rows, 1, sizes.hidden) * _SPREAD)
        self.columns = nn.Parameter(torch.randn(1, columns, sizes.hidden) * _SPREAD)
        self.register_buffer("segments", _regions(grid, regions), persistent=False)
        self.inner: Encoder | None = None
        if choice.placement in ("transformer", "convolutional"):
            self.inner = build_encoder(choice, sizes.hidden, sizes)
        self.output_size = sizes.hidden if self.inner is None else self.inner.output_size

    def forward(self, features: Tensor, mask: Tensor, segments: Tensor | None = None) -> Memory:
        """B,L,E to the memory of whole pictures; `segments` B,L in place of the regions."""
        places = (self.rows + self.columns).flatten(0, 1)  # L,H
        states = self.enter(features) + places  # B,L,H
        if segments is None:
            assert isinstance(self.segments, Tensor)
            segments = self.segments.expand(mask.shape)
        if self.inner is not None:
            return replace(self.inner(states, mask, segments), grid=self.grid)
        return Memory(states, mask, masked_mean(states, mask), segments=segments, grid=self.grid)


def _regions(grid: tuple[int, int], regions: int) -> Tensor:
    """L int64: the region of every cell, regions numbered in raster order."""
    down, across = (torch.arange(size) * regions // size for size in grid)
    return (down[:, None] * regions + across).flatten()

"""The additive score that also sees where attention lay before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import NOTHING, Remembered
from bench.attention.heads import HeadLinear
from bench.attention.registries import scores
from bench.attention.scores.concat import Concat, additive


@scores.register("location-aware")
class LocationAware(Concat):
    """e = v . tanh(W_q h + W_k s + U f + b), f = F * previous (Chorowski 2015, equations 8, 9).

    F are `location_filters` convolutions of width `location_kernel` over the previous weights,
    shared by the heads. The paper has 10 filters of 201 frames; our default of 15 positions fits
    sentences and short utterances. Positions of a picture are taken in raster order.

    With `location_heads` "own" every head has an F and a U of its own (AttMultiHeadLoc of ESPnet);
    with "several-widths" that of head h of H reaches h/H as far to either side
    (AttMultiHeadMultiResLoc).

    With `location_cumulative` they are convolutions over two channels, the previous weights and
    the sum of all weights before (Shen 2018: 32 filters of 31 positions). The paper
    names the cumulative weights alone; two channels are what its reimplementations have.
    """

    summary = "additive, with the convolved weights of the step before"
    formula = "v . tanh(W [h ; s] + U (F * previous))"
    citation = "Chorowski 2015"
    reads: frozenset[Remembered] = frozenset({"previous"})
    option_names: ClassVar[tuple[str, ...]] = (
        "attention_size",
        "location_filters",
        "location_kernel",
        "location_cumulative",
        "location_heads",
    )

    def __init__(
        self,
        query_size: int,
        key_size: int,
        heads: int = 1,
        attention_size: int | None = None,
        location_filters: int = 10,
        location_kernel: int = 15,
        location_cumulative: bool = False,
        location_heads: Literal["shared", "own", "several-widths"] = "shared",
        *,
        channels: int = 1,
    ) -> None:
        super().__init__(query_size, key_size, heads, attention_size)
        if location_cumulative:
            self.reads, channels = frozenset({"previous", "coverage"}), 2
        size = self.vector.shape[1]
        self.own_convolutions: nn.ModuleList | None = None
        if location_heads == "shared":
            self.convolution = nn.Conv1d(
                channels,
                location_filters,
                location_kernel,
                padding=location_kernel // 2,
                bias=False,
            )
            self.location: nn.Module = nn.Linear(location_filters, size, bias=False)
            return
        reach = location_kernel // 2
        several = location_heads == "several-widths"
        reaches = [reach * (h + 1) // heads if several else reach for h in range(heads)]
        self.own_convolutions = nn.ModuleList(
            nn.Conv1d(channels, location_filters, 2 * one + 1, padding=one, bias=False)
            for one in reaches
        )
        self.location = HeadLinear(heads * location_filters, size, heads, bias=False)

    def _start(self) -> None:
        """Initialise like any projection: larger weights delayed the alignment of speech."""

    def _kernels(self) -> Tensor:
        """U F as kernels over what is remembered, its channels one behind the other: A,C*width of
        all heads, or H,A,C*width."""
        location = self.location.weight
        assert isinstance(location, Tensor)
        if self.own_convolutions is None:
            return location @ self.convolution.weight.flatten(1)
        filters: list[Tensor] = [one.weight for one in self.own_convolutions]  # type: ignore[misc]
        width = filters[-1].shape[-1]
        centred = [F.pad(one, [(width - one.shape[-1]) // 2] * 2) for one in filters]
        return location @ torch.stack([one.flatten(1) for one in centred])  # H,A,C*width

    def _channels(self, remembered: Mapping[str, Tensor]) -> list[Tensor]:
        """What is convolved: B,H,S each."""
        return [remembered[name] for name in ("previous", "coverage") if name in self.reads]

    def forward(
        self, query: Tensor, projected: Tensor, remembered: Mapping[str, Tensor] = NOTHING
    ) -> Tensor:
        assert query.shape[1] == 1, "location-aware goes step by step"
        # U F in one product over windows: on so few channels a convolution is slower.
        kernel = self._kernels()
        channels = self._channels(remembered)  # C of B,H,S
        width = kernel.shape[-1] // len(channels)
        # Weights may be kept more precisely.
        around = [centred_windows(one.to(kernel.dtype), width) for one in channels]  # B,H,S,width
        windows = around[0] if len(around) == 1 else torch.cat(around, -1)  # B,H,S,C*width
        if kernel.dim() == 2:
            located = F.linear(windows, kernel)  # B,H,S,A
        else:
            located = torch.einsum("bhsw,haw->bhsa", windows, kernel)
        return additive(self.query(query), projected + located, self.vector)


def centred_windows(weights: Tensor, width: int) -> Tensor:
    """What lies around each position of the weights B,H,S, 0 outside: B,H,S,width, width odd."""
    return F.pad(weights, (width // 2, width // 2)).unfold(2, width, 1)

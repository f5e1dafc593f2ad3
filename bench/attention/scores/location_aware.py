"""The additive score that also sees where attention lay before."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import NOTHING, Remembered
from bench.attention.registries import scores
from bench.attention.scores.concat import Concat, additive


@scores.register("location-aware")
class LocationAware(Concat):
    """e = v . tanh(W_q h + W_k s + U f + b), f = F * previous (Chorowski 2015, equations 8, 9).

    F are `location_filters` convolutions of width `location_kernel` over the previous weights,
    shared by the heads. The paper has 10 filters of 201 frames; our default of 15 positions fits
    sentences and short utterances. Positions of a picture are taken in raster order.

    With `location_cumulative` they are convolutions over two channels, the previous weights and
    the sum of all weights before (Shen 2018: 32 filters of 31 positions). The paper
    names the cumulative weights alone; two channels are what its reimplementations have.
    """

    summary = "additive, with the convolved weights of the step before"
    formula = "v . tanh(W [h ; s] + U (F * previous))"
    citation = "Chorowski 2015"
    reads: frozenset[Remembered] = frozenset({"previous"})
    option_names = ("attention_size", "location_filters", "location_kernel", "location_cumulative")

    def __init__(
        self,
        query_size: int,
        key_size: int,
        heads: int = 1,
        attention_size: int | None = None,
        location_filters: int = 10,
        location_kernel: int = 15,
        location_cumulative: bool = False,
    ) -> None:
        super().__init__(query_size, key_size, heads, attention_size)
        if location_cumulative:
            self.reads = frozenset({"previous", "coverage"})
        self.convolution = nn.Conv1d(
            len(self.reads),
            location_filters,
            location_kernel,
            padding=location_kernel // 2,
            bias=False,
        )
        self.location = nn.Linear(location_filters, self.vector.shape[1], bias=False)

    def _start(self) -> None:
        """Initialise like any projection: larger weights delayed the alignment of speech."""

    def forward(
        self, query: Tensor, projected: Tensor, remembered: Mapping[str, Tensor] = NOTHING
    ) -> Tensor:
        assert query.shape[1] == 1, "location-aware goes step by step"
        # U F in one product over windows: on so few channels a convolution is slower.
        kernel = self.location.weight @ self.convolution.weight.flatten(1)  # A,width
        width = self.convolution.weight.shape[-1]
        windows = centred_windows(remembered["previous"], width)  # B,H,S,width
        if "coverage" in self.reads:
            summed = centred_windows(remembered["coverage"], width)
            windows = torch.cat([windows, summed], -1)  # B,H,S,2*width
        located = F.linear(windows, kernel)  # B,H,S,A
        return additive(self.query(query), projected + located, self.vector)


def centred_windows(weights: Tensor, width: int) -> Tensor:
    """What lies around each position of the weights B,H,S, 0 outside: B,H,S,width, width odd."""
    return F.pad(weights, (width // 2, width // 2)).unfold(2, width, 1)

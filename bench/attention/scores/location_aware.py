"""The additive score that also sees where attention lay before."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.registries import scores
from bench.attention.scores.concat import Concat, additive


@scores.register("location-aware")
class LocationAware(Concat):
    """e = v . tanh(W_q h + W_k s + U f + b), f = F * previous (Chorowski 2015, equations 8, 9).

    F are `location_filters` convolutions of width `location_kernel` over the previous weights,
    shared by the heads. The paper has 10 filters of 201 frames; our default of 15 positions fits
    sentences and short utterances. Positions of a picture are taken in raster order.
    """

    summary = "additive, with the convolved weights of the step before"
    formula = "v . tanh(W [h ; s] + U (F * previous))"
    citation = "Chorowski 2015"
    needs_previous = True
    option_names = ("attention_size", "location_filters", "location_kernel")

    def __init__(
        self,
        query_size: int,
        key_size: int,
        heads: int = 1,
        attention_size: int | None = None,
        location_filters: int = 10,
        location_kernel: int = 15,
    ) -> None:
        super().__init__(query_size, key_size, heads, attention_size)
        self.convolution = nn.Conv1d(
            1, location_filters, location_kernel, padding=location_kernel // 2, bias=False
        )
        self.location = nn.Linear(location_filters, self.vector.shape[1], bias=False)

    def _start(self) -> None:
        """Initialise like any projection: larger weights delayed the alignment of speech."""

    def forward(self, query: Tensor, projected: Tensor, previous: Tensor | None = None) -> Tensor:
        assert previous is not None and query.shape[1] == 1, "location-aware goes step by step"
        # U F in one product over windows: on so few channels a convolution is slower.
        kernel = self.location.weight @ self.convolution.weight.squeeze(1)  # A,width
        width = kernel.shape[-1]
        windows = F.pad(previous, (width // 2, width // 2)).unfold(2, width, 1)  # B,H,S,width
        located = F.linear(windows, kernel)  # B,H,S,A
        return additive(self.query(query), projected + located, self.vector)

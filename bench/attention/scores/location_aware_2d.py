"""The additive score that also sees where attention lay in each of the last steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from bench.attention.base import Remembered
from bench.attention.registries import scores
from bench.attention.scores.location_aware import LocationAware


@scores.register("location-aware-2d")
class LocationAware2D(LocationAware):
    """e = v . tanh(W_q h + W_k s + U f + b), f = F * [a_{t-W} .. a_{t-1}] (AttLoc2D of ESPnet).

    F are `location_filters` two-dimensional filters over the weights of the last W steps
    (`location_steps`): W steps high, `location_kernel` positions wide, moved along the source
    alone. So they are convolutions with a channel per step. They can tell how attention moves,
    where `location-aware` sees only where it lay. Before the first step all W rows hold what counts
    as its previous weights.
    """

    summary = "additive, with the convolved weights of the last steps"
    formula = "v . tanh(W [h ; s] + U (F * [a_t-W .. a_t-1]))"
    citation = "Watanabe 2018"
    reads: frozenset[Remembered] = frozenset({"kept"})
    option_names = (
        "attention_size",
        "location_filters",
        "location_kernel",
        "location_heads",
        "location_steps",
    )

    def __init__(
        self,
        query_size: int,
        key_size: int,
        heads: int = 1,
        attention_size: int | None = None,
        location_filters: int = 10,
        location_kernel: int = 15,
        location_heads: Literal["shared", "own", "several-widths"] = "shared",
        location_steps: int = 5,
    ) -> None:
        super().__init__(
            query_size,
            key_size,
            heads,
            attention_size,
            location_filters,
            location_kernel,
            location_heads=location_heads,
            channels=location_steps,
        )
        self.steps = location_steps

    def keep(self, before: Tensor | None, weights: Tensor, mask: Tensor) -> Tensor:
        """The weights of the last W steps, the latest behind: B,H,W,S."""
        if before is None:
            return weights[:, :, None].expand(-1, -1, self.steps, -1)
        return torch.cat([before[:, :, 1:], weights[:, :, None]], 2)

    def _channels(self, remembered: Mapping[str, Tensor]) -> list[Tensor]:
        return list(remembered["kept"].unbind(2))

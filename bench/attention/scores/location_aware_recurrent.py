"""The additive score with a recurrent summary of where attention lay."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.base import NOTHING, Remembered
from bench.attention.registries import scores
from bench.attention.scores.concat import Concat, additive
from bench.attention.scores.location_aware import centred_windows


@scores.register("location-aware-recurrent")
class LocationAwareRecurrent(Concat):
    """e = v . tanh(W_q h + W_k s + r_t + b) (AttLocRec of ESPnet), with

        f_t = max over positions of relu(F * a_{t-1}),
        r_t = the state of an LSTM that has read f_1 .. f_t, from r_0 = 0.

    F are `location_filters` convolutions of width `location_kernel`. The greatest value of each
    filter says how attention lay (how peaked it was, how it fell off), but not where: r_t is the
    same for all positions, and acts on energies through the tanh alone. F and LSTM are shared by
    the heads, each of which has a state of its own. Padding has no part in the maximum.
    """

    summary = "additive, with an LSTM's state that has read the convolved weights of all steps"
    formula = "v . tanh(W [h ; s] + LSTM(max relu(F * previous)))"
    citation = "Watanabe 2018"
    reads: frozenset[Remembered] = frozenset({"kept"})
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
        self.cell = nn.LSTMCell(location_filters, self.vector.shape[1], bias=False)

    def _start(self) -> None:
        """Initialise like any projection, as `location-aware` is."""

    def keep(self, before: Tensor | None, weights: Tensor, mask: Tensor) -> Tensor:
        """The LSTM's state and its memory cell after the step: B,H,2,A."""
        B, H = weights.shape[:2]
        filters, dtype = self.convolution.weight.squeeze(1), self.cell.weight_ih.dtype  # F,width
        # Location features: the greatest of each filter over the real positions.
        windows = centred_windows(weights.to(filters.dtype), filters.shape[1])  # B,H,S,width
        features = F.relu(F.linear(windows, filters))  # B,H,S,F
        greatest = features.masked_fill(~mask[:, None, :, None], 0.0).amax(2)  # B,H,F
        # One step of the LSTM, every head an example of its own.
        if before is None:
            before = greatest.new_zeros(B, H, 2, self.cell.hidden_size)
        held = before.to(dtype).flatten(0, 1)  # B*H,2,A
        state = self.cell(greatest.to(dtype).flatten(0, 1), (held[:, 0], held[:, 1]))
        return torch.stack(state, 1).unflatten(0, (B, H))

    def forward(
        self, query: Tensor, projected: Tensor, remembered: Mapping[str, Tensor] = NOTHING
    ) -> Tensor:
        assert query.shape[1] == 1, "location-aware-recurrent goes step by step"
        read = remembered["kept"][:, :, :1]  # B,H,1,A
        return additive(self.query(query) + read.to(projected.dtype), projected, self.vector)

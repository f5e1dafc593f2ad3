"""The encoder of Rush, Chopra and Weston (2015), section 3.2: embeddings and local averages.

The rest of the model is `tasks.training.sequence.text_module`, which translation has, too.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from bench.attention.base import Memory, zero_padding
from bench.errors import NotApplicable
from bench.models import AttentionChoice
from bench.models.base import Encoder, ModelConfig
from bench.models.layers import linear, masked_mean


class RushEncoder(Encoder):
    """Attention-based encoder (enc3): keys are projected embeddings x~, values their means x- over
    a window, so that attention to a word includes its neighbours. The order of words has no other
    influence.

    The summary is the mean of x~, their bag-of-words encoder (enc1): attention `none` over this
    encoder is that model. Their decoder reads the last words only; ours is recurrent, as in their
    follow-up (Chopra et al. 2016).

    Args:
        input_size: E, size of the features.
        window: Q, number of positions on either side in a mean; padding does not count.
    """

    def __init__(self, input_size: int, sizes: ModelConfig, window: int) -> None:
        super().__init__()
        self.output_size, self.window = sizes.hidden_dim, window
        self.project = linear(input_size, sizes.hidden_dim, bias=False)

    def forward(self, features: Tensor, mask: Tensor, segments: Tensor | None = None) -> Memory:
        # keys: projected embeddings; values: their local means
        states = zero_padding(self.project(features), mask)  # B,S,H
        values = zero_padding(self._local_means(states, mask), mask)  # B,S,H
        return Memory(states, mask, masked_mean(states, mask), values=values, segments=segments)

    def _local_means(self, states: Tensor, mask: Tensor) -> Tensor:
        """Means over the real positions of each window, B,S,H."""
        counts = self._window_sums(mask[..., None].to(states.dtype))  # B,S,1
        return self._window_sums(states) / counts.clamp_min(1)

    def _window_sums(self, states: Tensor) -> Tensor:
        size = 2 * self.window + 1
        padded = F.pad(states, (0, 0, self.window, self.window))  # B,S+2Q,H
        return padded.unfold(1, size, 1).sum(dim=-1)


def rush_encoder(
    choice: AttentionChoice, input_size: int, sizes: ModelConfig, window: int
) -> RushEncoder:
    """Build the encoder for an attention with a recurrent decoder.

    Raises NotApplicable for convolutional models and Transformers, which define their own encoder.
    """
    if choice.backbone != "recurrent":
        raise NotApplicable(
            "Rush's encoder goes with recurrent decoders",
            where="encoder=rush",
            remedy="use it with none, soft, hard, global, local, hierarchical or over",
        )
    return RushEncoder(input_size, sizes, window)

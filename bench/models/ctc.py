"""Connectionist temporal classification: labels without an alignment."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from bench.attention.memory import Memory
from bench.models.layers import linear

#: The output that stands for "nothing new"; labels count from 1.
BLANK = 0


class CtcHead(nn.Module):
    """A loss that makes every encoder state name the label it belongs to, or none (Graves 2006).

    Beside an attentive decoder it pulls the states of a label to where the label is, so that
    alignments appear early (Kim 2017, joint CTC-attention).

    Args:
        size: D, size of the memory's states.
        labels: number of labels, `BLANK` included.
    """

    def __init__(self, size: int, labels: int) -> None:
        super().__init__()
        self.project = linear(size, labels)

    def forward(self, memory: Memory, labels: Tensor) -> Tensor:
        """Mean loss per label, in nats; examples with more labels than positions count 0.

        Args:
            labels: B,T int64, `BLANK` wherever there is none (only after the last).
        """
        log_probs = self.project(memory.states).float().log_softmax(dim=-1)  # B,S,V
        lengths = (labels != BLANK).sum(dim=1)
        total = F.ctc_loss(
            log_probs.transpose(0, 1),
            labels,
            memory.lengths,
            lengths,
            blank=BLANK,
            reduction="sum",
            zero_infinity=True,
        )
        return total / lengths.sum().clamp(min=1)

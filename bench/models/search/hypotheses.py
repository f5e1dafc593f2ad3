"""What a search returns, and how hypotheses are scored."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from bench.attention.memory import Memory, lengths_to_mask
from bench.errors import UsageError
from bench.models.base import Decoder

#: Features B,T,F to logits B,T,V.
Head = Callable[[Tensor], Tensor]

PADDING = 0
#: Coverage of a source position counts as no less than this, so that one which was never
#: attended to (`hard`, sparse normalisers) costs much, not everything.
LEAST_COVERAGE = 1e-3


@dataclass(frozen=True)
class Hypotheses:
    """One output per sentence.

    Attributes:
        tokens: B,T int64, without the begin token, with the end token where it was reached,
            then 0.
        lengths: B int64, tokens of each row, the end token counted.
        log_probs: B, sums of log-probabilities of these tokens.
        scores: B, the same after length normalisation and coverage penalty: what was ranked.
        weights: B,T,S if asked for and the model attends; 0 after the end.
        parts: further B,T,S tensors by name, likewise.
    """

    tokens: Tensor
    lengths: Tensor
    log_probs: Tensor
    scores: Tensor
    weights: Tensor | None = None
    parts: Mapping[str, Tensor] = field(default_factory=dict)


def length_norm(length: Tensor, exponent: float) -> Tensor:
    """((5 + |Y|) / 6) ** exponent, by which a log-probability is divided (Wu 2016, eq. 14)."""
    return ((5.0 + length) / 6.0) ** exponent


def coverage_term(coverage: Tensor, mask: Tensor, weight: float) -> Tensor:
    """weight x the sum over source positions of log(min(coverage, 1)) (Wu 2016, equation 14).

    Args:
        coverage: ...,S summed attention weights of a hypothesis.
        mask: bool, broadcastable, True where a position is real.
    """
    logs = coverage.clamp(LEAST_COVERAGE, 1.0).log()
    return weight * torch.where(mask, logs, 0.0).sum(dim=-1)


def limits_of(max_length: int | Tensor, memory: Memory) -> Tensor:
    """B int64: most tokens of each sentence, the end token counted.

    Raises:
        UsageError: a limit below 1.
    """
    rows, device = memory.mask.shape[0], memory.mask.device
    limits = torch.as_tensor(max_length, device=device, dtype=torch.int64).expand(rows)
    if int(limits.min()) < 1:
        raise UsageError(f"an output has at least one token, not {int(limits.min())}")
    return limits


def with_weights(
    found: Hypotheses, decoder: Decoder, memory: Memory, bos: int, *, parts: bool
) -> Hypotheses:
    """The hypotheses with their weights, and parts if wanted: one pass over all positions, which
    gives what the steps gave at a fraction of their cost."""
    tokens = found.tokens
    inputs = torch.cat((torch.full_like(tokens[:, :1], bos), tokens[:, :-1]), dim=1)
    decoded = decoder(inputs, memory, need_weights=True)
    if decoded.weights is None:
        return found
    after = ~lengths_to_mask(found.lengths, tokens.shape[1])[:, :, None]  # B,T,1
    wanted = decoded.parts if parts else {}
    return replace(
        found,
        weights=decoded.weights.masked_fill(after, 0.0),
        parts={name: part.masked_fill(after, 0.0) for name, part in wanted.items()},
    )

"""How a decoder reads a text that is given: its state after every word, and what that attends to.

Generation pairs a step's attention with the word the step writes; reading pairs it with the word
just read. A mechanism that attends with the current state does so in the same step; one that
attends with the previous state (Bahdanau 2015) only in the next. An end token, read last, gives
the last word that next step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from bench.attention.base import Placement, Sampled
from bench.attention.memory import Memory
from bench.models.base import Decoder


@dataclass(frozen=True)
class Reading:
    """A batch of texts of at most T words, read over memories of S positions.

    Attributes:
        states: B,T,H after every word.
        contexts: B,T,C what the state after the word attends to.
        mask: B,T bool, True where there is a word; every row has at least one.
        weights: B,T,S or None.
        parts: further B,T,S tensors by name.
        sampled: locations that were drawn, B,T+1 each: those of all steps, for all of them
            shape the states.
        steps: B,T+1 bool, True where a step is real.
    """

    states: Tensor
    contexts: Tensor
    mask: Tensor
    steps: Tensor
    weights: Tensor | None = None
    parts: Mapping[str, Tensor] = field(default_factory=dict)
    sampled: Sampled | None = None

    def ends(self) -> tuple[Tensor, Tensor, Tensor]:
        """State and context after the last word, and their mask: B,1,H; B,1,C; B,1."""
        last = self.mask.sum(dim=1) - 1  # B
        rows = torch.arange(len(last), device=last.device)
        return (
            self.states[rows, last][:, None],
            self.contexts[rows, last][:, None],
            self.mask[:, :1],
        )


def read(
    decoder: Decoder,
    placement: Placement,
    tokens: Tensor,
    memory: Memory,
    *,
    need_weights: bool = False,
) -> Reading:
    """Read B,T+1 int64 tokens: words, the end token, padding (0)."""
    decoded = decoder(tokens, memory, need_weights=need_weights)
    assert decoded.hidden is not None and decoded.contexts is not None
    answer = slice(1, None) if placement == "before" else slice(None, -1)
    steps = tokens != 0  # B,T+1
    return Reading(
        states=decoded.hidden[:, :-1],
        contexts=decoded.contexts[:, answer],
        mask=steps[:, 1:],
        steps=steps,
        weights=None if decoded.weights is None else decoded.weights[:, answer],
        parts={name: part[:, answer] for name, part in decoded.parts.items()},
        sampled=decoded.sampled,
    )

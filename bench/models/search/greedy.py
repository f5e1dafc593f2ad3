"""Greedy search: the likeliest token at every step."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from bench.attention.base import Memory
from bench.models.base import Decoder, select_rows
from bench.models.search.hypotheses import (
    PADDING,
    Head,
    Hypotheses,
    NextToken,
    length_norm,
    limits_of,
    with_weights,
)

#: Finished rows leave the batch once they are this share of it: copying the rest costs about as
#: much as a step.
WORTH_DROPPING = 0.25


@torch.no_grad()
def greedy_search(
    decoder: Decoder,
    head: Head,
    memory: Memory,
    *,
    bos: int,
    eos: int,
    max_length: int | Tensor,
    length_penalty: float = 1.0,
    forbidden: Sequence[int] = (),
    need_weights: bool = False,
    need_parts: bool = False,
) -> Hypotheses:
    """Decode B sentences.

    Args:
        decoder: in evaluation mode.
        head: features to logits over V tokens.
        memory: of B sentences.
        bos, eos: begin and end token.
        max_length: most tokens of an output, the end token counted; an int or B of them. An
            output that reaches it stays without its end.
        length_penalty: exponent of the normalisation in `scores`; changes no output.
        forbidden: tokens never produced (padding, unknown, begin).
        need_weights, need_parts: whether weights and parts are returned; parts come only with
            weights.

    Raises:
        UsageError: a limit below 1, or the end token forbidden.
    """
    assert not decoder.training, "search wants a model in evaluation mode"
    limits = limits_of(max_length, memory)
    following = NextToken(head, forbidden, eos)
    outputs = torch.full((len(limits), int(limits.max())), PADDING, device=limits.device)
    totals = torch.zeros(len(limits), device=limits.device, dtype=torch.float64)
    lengths = torch.zeros_like(limits)

    state = decoder.start(memory)
    rows = torch.arange(len(limits), device=limits.device)  # N, the sentence of every live row
    current = torch.full_like(rows, bos)
    done = torch.zeros_like(rows, dtype=torch.bool)
    for step in range(outputs.shape[1]):
        decoded, state = decoder.step(current, state, need_weights=False)
        best, current = following(decoded.features).best()  # N
        outputs[rows, step] = torch.where(done, PADDING, current)
        totals[rows] += torch.where(done, 0.0, best)
        lengths[rows] += ~done
        done = done | (current == eos) | (limits[rows] <= step + 1)
        finished = int(done.sum())
        if finished == len(rows):
            break
        if finished >= WORTH_DROPPING * len(rows):
            keep = (~done).nonzero()[:, 0]
            rows, current, done = rows[keep], current[keep], done[keep]
            state = select_rows(state, keep)

    tokens = outputs[:, : step + 1]
    scores = totals / length_norm(lengths, length_penalty)
    found = Hypotheses(tokens, lengths, totals, scores)
    return with_weights(found, decoder, memory, bos, parts=need_parts) if need_weights else found

"""The likeliest extensions of hypotheses, without sorting the vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor

#: Tokens of which only the best is looked at first.
CHUNK = 32


def best_extensions(totals: Tensor, log_probs: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The `count` best sums of a hypothesis and its next token, per sentence.

    The best J tokens lie in the J chunks of the vocabulary with the highest maxima, and finding
    maxima is several times faster than sorting, so only those chunks are sorted.

    Args:
        totals: N,A log-probabilities of the hypotheses.
        log_probs: N*A,V of their next tokens.
        count: J, at most A*V.

    Returns:
        N,J sums, best first, the hypotheses they extend, and the tokens.
    """
    sentences, open_ = totals.shape
    size = log_probs.shape[1]
    log_probs = log_probs.view(sentences, open_, size)  # N,A,V
    chunks = size // CHUNK
    if open_ * chunks < 2 * count:
        sums, places = (totals[:, :, None] + log_probs).flatten(1).topk(count, dim=1)  # N,J
        return sums, places // size, places % size
    whole = log_probs[:, :, : chunks * CHUNK].unflatten(2, (chunks, CHUNK))  # N,A,C,32
    maxima = totals[:, :, None] + whole.amax(dim=3)  # N,A,C
    places = maxima.flatten(1).topk(count, dim=1).indices  # N,J
    parents, chosen = places // chunks, places % chunks
    rows = torch.arange(sentences, device=totals.device)[:, None]  # N,1
    sums = totals.gather(1, parents)[:, :, None] + whole[rows, parents, chosen]  # N,J,32
    within = torch.arange(CHUNK, device=totals.device)
    tokens = chosen[:, :, None] * CHUNK + within  # N,J,32
    # The last few tokens make no whole chunk.
    rest = totals[:, :, None] + log_probs[:, :, chunks * CHUNK :]  # N,A,R
    rest_tokens = torch.arange(chunks * CHUNK, size, device=totals.device).expand_as(rest)
    rest_parents = torch.arange(open_, device=totals.device)[None, :, None].expand_as(rest)
    every = torch.cat((sums.flatten(1), rest.flatten(1)), dim=1)
    every_token = torch.cat((tokens.flatten(1), rest_tokens.flatten(1)), dim=1)
    every_parent = torch.cat(
        (parents[:, :, None].expand_as(tokens).flatten(1), rest_parents.flatten(1)), dim=1
    )
    sums, places = every.topk(count, dim=1)  # N,J
    return sums, every_parent.gather(1, places), every_token.gather(1, places)

"""The likeliest extensions of hypotheses, without sorting the vocabulary."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.models.search.vocabulary import NextScores


def best_extensions(
    totals: Tensor, following: NextScores, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """The `count` best sums of a hypothesis and its next token, per sentence.

    The best J tokens lie in the J columns of the vocabulary with the highest maxima, and finding
    maxima is several times faster than sorting, so only those columns are sorted.

    Args:
        totals: N,A log-probabilities of the hypotheses.
        following: of their next tokens, N*A rows.
        count: J, at most A*V.

    Returns:
        N,J sums, best first, the hypotheses they extend, and the tokens.
    """
    sentences, open_ = totals.shape
    size, width = following.size, following.width
    values = following.values.view(sentences, open_, -1, width)  # N,A,C,W
    begun = (totals - following.norms.view_as(totals)) / following.unit  # N,A in units of values
    if open_ * width < 2 * count or values.shape[2] == 1:
        every = begun[:, :, None] + values.flatten(2)[:, :, :size]  # N,A,V
        sums, places = every.flatten(1).topk(count, dim=1)  # N,J
        return sums * following.unit, places // size, places % size
    maxima = begun[:, :, None] + values.amax(dim=2)  # N,A,W
    places = maxima.flatten(1).topk(count, dim=1).indices  # N,J
    parents, columns = places // width, places % width
    rows = torch.arange(sentences, device=totals.device)[:, None]  # N,1
    sums = begun.gather(1, parents)[:, :, None] + values[rows, parents, :, columns]  # N,J,C
    sums, places = sums.flatten(1).topk(count, dim=1)  # N,J
    column, height = places // values.shape[2], places % values.shape[2]
    tokens = columns.gather(1, column) + height * width
    # Where all is forbidden the best may be one of the tokens that do not exist.
    return sums * following.unit, parents.gather(1, column), tokens.clamp_(max=size - 1)

"""Beam search as one would write it first: a sentence at a time, a hypothesis at a time, every
prefix read anew from its first token. What `bench.models.search` finds must be the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from bench.attention.base import Memory
from bench.models.base import Decoder


@dataclass(frozen=True)
class Found:
    """An output with its end token, its log-probability, and what it was ranked by."""

    tokens: list[int]
    total: float
    score: float


@torch.no_grad()
def slow_beam_search(
    decoder: Decoder,
    head: Callable[[Tensor], Tensor],
    memory: Memory,
    *,
    bos: int,
    eos: int,
    limits: Sequence[int],
    beam: int,
    length_penalty: float,
    forbidden: Sequence[int] = (),
) -> list[Found]:
    """The best hypothesis of each sentence, by the rules of `beam_search`. A beam of 1 is greedy.

    Args:
        memory: of as many sentences as there are limits.
    """
    found = []
    for row, limit in enumerate(limits):
        one = memory.select(torch.tensor([row]))

        def following(tokens: list[int], one: Memory = one) -> Tensor:
            """V log-probabilities of the token after these."""
            read = decoder(torch.tensor([[bos, *tokens]]), one).features[:, -1:]
            log_probs = head(read)[0, 0].log_softmax(dim=0)
            log_probs[list(forbidden)] = float("-inf")
            return log_probs

        found.append(_one_sentence(following, eos, limit, beam, length_penalty))
    return found


def _one_sentence(
    following: Callable[[list[int]], Tensor], eos: int, limit: int, beam: int, penalty: float
) -> Found:
    def norm(length: int) -> float:
        return float(((5.0 + length) / 6.0) ** penalty)

    open_: list[tuple[float, list[int]]] = [(0.0, [])]
    ended: list[Found] = []
    while True:
        longer = [
            (total + float(value), [*tokens, token])
            for total, tokens in open_
            for token, value in enumerate(following(tokens).double().tolist())
            if value > float("-inf")
        ]
        longer = sorted(longer, key=lambda one: -one[0])[: 2 * beam]
        ends = [one for one in longer if one[1][-1] == eos or len(one[1]) == limit]
        ended += [
            Found(tokens, total, total / norm(len(tokens)))
            for total, tokens in longer[:beam]
            if (total, tokens) in ends
        ]
        open_ = [one for one in longer if one not in ends][:beam]
        best = max(ended, key=lambda one: one.score, default=None)
        if best and (len(ended) >= beam or not open_ or best.score >= open_[0][0] / norm(limit)):
            return best

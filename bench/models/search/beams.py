"""The bookkeeping of a beam search: open hypotheses, their extensions, the best that ended."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from bench.attention.memory import Memory
from bench.models.search.best import best_extensions
from bench.models.search.hypotheses import PADDING, coverage_term, length_norm
from bench.models.search.vocabulary import NEVER, NextScores


@dataclass(frozen=True)
class Best:
    """The best finished hypothesis of each of N sentences.

    Attributes:
        scores: N, normalised; -inf while none has ended.
        totals: N, log-probabilities.
        lengths: N.
        tokens: N,L.
    """

    scores: Tensor
    totals: Tensor
    lengths: Tensor
    tokens: Tensor


@dataclass(frozen=True)
class Beams:
    """The N sentences still searched, with K beams each.

    Attributes:
        rows: N, which sentence of the batch each is.
        limits: N, most tokens.
        mask: N,S real source positions.
        totals: N,K log-probabilities of the open hypotheses, falling; -inf where there is none.
        history: N,K,L their tokens so far.
        coverage: N,K,S summed weights; None without a coverage penalty or without weights.
        ended: N, how many hypotheses have ended.
        best: the best of those.
    """

    rows: Tensor
    limits: Tensor
    mask: Tensor
    totals: Tensor
    history: Tensor
    coverage: Tensor | None
    ended: Tensor
    best: Best


@dataclass(frozen=True)
class Extensions:
    """The best extensions of each sentence's beams, N,J each, best first.

    `parents` are the beams they extend; `ends` says which end there.
    """

    totals: Tensor
    scores: Tensor
    parents: Tensor
    tokens: Tensor
    ends: Tensor


def first_beams(memory: Memory, limits: Tensor, beam: int) -> Beams:
    """Before the first token: one open hypothesis per sentence, the empty one."""
    count, longest, device = len(limits), int(limits.max()), limits.device
    totals = torch.full((count, beam), NEVER, device=device)
    totals[:, 0] = 0.0
    history = torch.full((count, beam, longest), PADDING, device=device)
    best = Best(
        scores=torch.full((count,), NEVER, device=device, dtype=torch.float64),
        totals=torch.full((count,), NEVER, device=device, dtype=torch.float64),
        lengths=torch.zeros_like(limits),
        tokens=history[:, 0].clone(),
    )
    rows = torch.arange(count, device=device)
    return Beams(
        rows, limits, memory.mask, totals.double(), history, None, torch.zeros_like(limits), best
    )


def cover(beams: Beams, weights: Tensor | None) -> Beams:
    """The beams after a step that attended with N*A,1,S weights."""
    if weights is None:
        return beams
    now = weights.view(len(beams.totals), -1, weights.shape[2])  # N,A,S
    return replace(beams, coverage=now if beams.coverage is None else beams.coverage + now)


def extend(
    beams: Beams, following: NextScores, step: int, eos: int, *, length: float, coverage: float
) -> Extensions:
    """The 2K likeliest extensions of the beams by the next tokens of their first A (N*A rows), the
    others being empty.

    No more than K of them end, since every beam ends in one way, so K go on.

    Args:
        length, coverage: the penalties.
    """
    count, beam = beams.totals.shape
    open_ = len(following.values) // count  # A
    totals, parents, tokens = best_extensions(
        beams.totals[:, :open_], following, min(2 * beam, open_ * following.size)
    )  # N,J
    scores = totals / length_norm(beams.limits.new_tensor(step + 1), length)
    if beams.coverage is not None:
        terms = coverage_term(beams.coverage, beams.mask[:, None], coverage)  # N,K
        scores = scores + terms.gather(1, parents)
    ends = (tokens == eos) | (beams.limits <= step + 1)[:, None]
    return Extensions(totals, scores, parents, tokens, ends)


def finish(beams: Beams, found: Extensions, step: int) -> Beams:
    """Count the hypotheses that end among the K best extensions, and keep the best of them."""
    beam = beams.totals.shape[1]
    ending = found.ends[:, :beam] & (found.totals[:, :beam] > NEVER)  # N,K
    scores, place = torch.where(ending, found.scores[:, :beam], NEVER).max(dim=1, keepdim=True)
    parent = found.parents.gather(1, place)[:, :, None]  # N,1,1
    tokens = beams.history.take_along_dim(parent, dim=1)[:, 0]  # N,L
    tokens[:, step] = found.tokens.gather(1, place)[:, 0]
    better = scores[:, 0] > beams.best.scores  # N
    best = Best(
        scores=torch.where(better, scores[:, 0], beams.best.scores),
        totals=torch.where(better, found.totals.gather(1, place)[:, 0], beams.best.totals),
        lengths=beams.best.lengths.masked_fill(better, step + 1),
        tokens=torch.where(better[:, None], tokens, beams.best.tokens),
    )
    return replace(beams, ended=beams.ended + ending.sum(dim=1), best=best)


def go_on(beams: Beams, found: Extensions, step: int) -> tuple[Beams, Tensor]:
    """The K best extensions that do not end become the open hypotheses; also their parents N,K."""
    beam = beams.totals.shape[1]
    open_totals = torch.where(found.ends, NEVER, found.totals)
    if open_totals.shape[1] < beam:  # fewer extensions than beams: a tiny vocabulary
        missing = beam - open_totals.shape[1]
        open_totals = torch.nn.functional.pad(open_totals, (0, missing), value=NEVER)
    totals, places = open_totals.topk(beam, dim=1)  # N,K
    places = places.clamp(max=found.parents.shape[1] - 1)
    parents = found.parents.gather(1, places)  # N,K
    history = beams.history.take_along_dim(parents[:, :, None], dim=1)  # N,K,L
    history[:, :, step] = found.tokens.gather(1, places)
    coverage = beams.coverage
    if coverage is not None:
        coverage = coverage.take_along_dim(parents[:, :, None], dim=1)
    return replace(beams, totals=totals, history=history, coverage=coverage), parents


def close(beams: Beams, length: float) -> tuple[Beams, Tensor]:
    """Close the sentences of which K hypotheses have ended, or no open one can still rank higher
    than the best; also which are closed, N bool.

    More tokens only lower a log-probability, the norm grows at most to that of the limit, and
    the coverage term is never positive. A closed sentence has no open hypothesis, so that nothing
    changes it while it waits for others to leave the batch.
    """
    reachable = beams.totals[:, 0] / length_norm(beams.limits, length)
    done = (beams.ended >= beams.totals.shape[1]) | (beams.best.scores >= reachable)
    return replace(beams, totals=beams.totals.masked_fill(done[:, None], NEVER)), done


def file_answers(answers: Best, beams: Beams) -> Best:
    """The answers for the whole batch, with the best of these sentences written in."""
    rows, best = beams.rows, beams.best
    return Best(
        scores=answers.scores.index_copy(0, rows, best.scores),
        totals=answers.totals.index_copy(0, rows, best.totals),
        lengths=answers.lengths.index_copy(0, rows, best.lengths),
        tokens=answers.tokens.index_copy(0, rows, best.tokens),
    )

"""Beam search with length normalisation and coverage penalty (Wu 2016, section 7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from bench.attention.base import Memory
from bench.errors import UsageError
from bench.models.base import Decoder, DecoderState, select_rows
from bench.models.search import (
    NEVER,
    PADDING,
    WORTH_DROPPING,
    Head,
    Hypotheses,
    NextScores,
    NextToken,
    coverage_term,
    length_norm,
    limits_of,
    with_weights,
)


def best_extensions(
    totals: Tensor, following: NextScores, count: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Find the `count` best extensions of each sentence's hypotheses by their next token.

    The best J tokens lie in the J columns of the vocabulary with the highest maxima, and finding
    maxima is several times faster than sorting, so only those columns are sorted.

    Args:
        totals: N,A log-probabilities of the hypotheses.
        following: scores of their next tokens, N*A rows.
        count: J, at most A*V.

    Returns:
        N,J summed log-probabilities, best first, the hypotheses extended, and the tokens.
    """
    sentences, open_ = totals.shape
    size, width = following.size, following.width
    values = following.values.view(sentences, open_, -1, width)  # N,A,C,W
    begun = (totals - following.norms.view_as(totals)) / following.unit  # N,A in units of values
    if open_ * width < 2 * count or values.shape[2] == 1:
        every = begun[:, :, None] + values.flatten(2)[:, :, :size]  # N,A,V
        sums, places = every.flatten(1).topk(count, dim=1)  # N,J
        return sums * following.unit, places // size, places % size
    # The J best columns of every sentence, by their maxima.
    maxima = begun[:, :, None] + values.amax(dim=2)  # N,A,W
    places = maxima.flatten(1).topk(count, dim=1).indices  # N,J
    parents, columns = places // width, places % width
    # The J best tokens in these columns.
    rows = torch.arange(sentences, device=totals.device)[:, None]  # N,1
    sums = begun.gather(1, parents)[:, :, None] + values[rows, parents, :, columns]  # N,J,C
    sums, places = sums.flatten(1).topk(count, dim=1)  # N,J
    column, height = places // values.shape[2], places % values.shape[2]
    tokens = columns.gather(1, column) + height * width
    # Where all is forbidden the best may be one of the tokens that do not exist.
    return sums * following.unit, parents.gather(1, column), tokens.clamp_(max=size - 1)


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
    """Return the beams before the first token: one open hypothesis per sentence, the empty one."""
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
    """Add the weights N*A,1,S of a step to the coverage of the beams."""
    if weights is None:
        return beams
    now = weights.view(len(beams.totals), -1, weights.shape[2])  # N,A,S
    return replace(beams, coverage=now if beams.coverage is None else beams.coverage + now)


def extend(
    beams: Beams, following: NextScores, step: int, eos: int, *, length: float, coverage: float
) -> Extensions:
    """Find the 2K likeliest extensions of the A open beams of each sentence.

    No more than K of them end, since every beam ends in one way, so K go on.

    Args:
        following: scores of the next tokens, N*A rows.
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


def advance(beams: Beams, found: Extensions, step: int) -> tuple[Beams, Tensor]:
    """Make the K best extensions that do not end the open hypotheses; also return their parents
    N,K."""
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
    """Close the sentences with K ended hypotheses, or whose best one no open hypothesis can still
    outrank; also return which are closed, N bool.

    More tokens only lower a log-probability, the norm grows at most to that of the limit, and
    the coverage term is never positive. A closed sentence has no open hypothesis, so that nothing
    changes it while it waits for others to leave the batch.
    """
    reachable = beams.totals[:, 0] / length_norm(beams.limits, length)
    done = (beams.ended >= beams.totals.shape[1]) | (beams.best.scores >= reachable)
    return replace(beams, totals=beams.totals.masked_fill(done[:, None], NEVER)), done


def record_answers(answers: Best, beams: Beams) -> Best:
    """Write the best of these sentences into the answers for the whole batch."""
    found = vars(beams.best)
    return Best(
        **{name: old.index_copy(0, beams.rows, found[name]) for name, old in vars(answers).items()}
    )


@torch.no_grad()
def beam_search(
    decoder: Decoder,
    head: Head,
    memory: Memory,
    *,
    bos: int,
    eos: int,
    max_length: int | Tensor,
    beam: int = 5,
    length_penalty: float = 1.0,
    coverage_penalty: float = 0.0,
    forbidden: Sequence[int] = (),
    need_weights: bool = False,
    need_parts: bool = False,
) -> Hypotheses:
    """Decode B sentences with `beam` open hypotheses each.

    A hypothesis ends with the end token, if it is among the `beam` best extensions at its step,
    or at its sentence's limit. A sentence is done when `beam` hypotheses have ended, or when no
    open one can still rank higher than the best that has. A beam of 1 is greedy search.

    Args:
        decoder, head, memory, bos, eos, max_length, forbidden, need_weights, need_parts: see
            `greedy_search`.
        beam: K, open hypotheses per sentence.
        length_penalty: exponent of ((5 + |Y|) / 6), by which log-probabilities are divided.
        coverage_penalty: weight of the coverage term; without effect where nothing is attended.

    Raises:
        UsageError: a beam or limit below 1, a negative penalty, or the end token forbidden.
    """
    assert not decoder.training, "search wants a model in evaluation mode"
    if beam < 1 or length_penalty < 0 or coverage_penalty < 0:
        raise UsageError(
            f"beam={beam}, length_penalty={length_penalty}, coverage_penalty={coverage_penalty}: "
            "out of range",
            remedy="the beam must be >= 1, penalties >= 0",
        )
    limits = limits_of(max_length, memory)
    following = NextToken(head, forbidden, eos)
    covering = coverage_penalty > 0

    beams = first_beams(memory, limits, beam)
    answers = beams.best
    # One open hypothesis a sentence before the first token, K after it.
    state = decoder.start(memory)
    current = torch.full_like(beams.rows, bos)  # N*A
    for step in range(int(limits.max())):
        # Read the last tokens of all open hypotheses, A a sentence.
        decoded, state = decoder.step(current, state, need_weights=covering)
        scores = following(decoded.features)  # of N*A hypotheses
        beams = cover(beams, decoded.weights if covering else None)
        # Extend them; file those that end, keep the K best of the others.
        found = extend(beams, scores, step, eos, length=length_penalty, coverage=coverage_penalty)
        beams = finish(beams, found, step)
        beams, parents = advance(beams, found, step)
        beams, done = close(beams, length_penalty)
        # Finished sentences leave the batch, a few at a time.
        finished = int(done.sum())
        if finished == len(done):
            break
        keep = None
        if finished >= WORTH_DROPPING * len(done):
            answers = record_answers(answers, beams)
            keep = (~done).nonzero()[:, 0]
            beams = select_rows(beams, keep)
        # The state of the new open hypotheses is that of their parents.
        state = _follow(
            state, parents, keep, beam if step else 1, decoder.source_shared_across_beams
        )
        current = beams.history[:, :, step].flatten()

    best = record_answers(answers, beams)
    tokens = best.tokens[:, : int(best.lengths.max())]
    result = Hypotheses(tokens, best.lengths, best.totals, best.scores)
    return with_weights(result, decoder, memory, bos, parts=need_parts) if need_weights else result


def _follow(
    state: DecoderState[Any, Any], parents: Tensor, keep: Tensor | None, before: int, shared: bool
) -> DecoderState[Any, Any]:
    """Reorder the decoder's state for the new open hypotheses.

    The part that depends on the sentence alone moves only where sentences are dropped or, unless
    beams share it, where beams become more.

    Args:
        parents: N,K, among the `before` hypotheses a sentence had.
        keep: the sentences to keep; None for all.
        shared: whether beams share one row of the source.
    """
    count, beam = parents.shape
    first = torch.arange(count, device=parents.device)[:, None] * before  # N,1
    rows, source = first + parents, state.source
    if keep is not None:
        first, rows = first[keep], rows[keep]
    if shared:
        source = source if keep is None else select_rows(source, keep)
    elif keep is not None or before < beam:
        source = select_rows(source, first.expand_as(rows).flatten())
    return DecoderState(source, select_rows(state.progress, rows.flatten()))

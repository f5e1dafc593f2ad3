"""Beam search with length normalisation and coverage penalty (Wu 2016, section 7)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from bench.attention.memory import Memory
from bench.errors import UsageError
from bench.models.base import Decoder, DecoderState, select_rows
from bench.models.search import beams as book
from bench.models.search.greedy import WORTH_DROPPING
from bench.models.search.hypotheses import (
    Head,
    Hypotheses,
    limits_of,
    with_weights,
)
from bench.models.search.vocabulary import NextToken


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
    _check(beam, length_penalty, coverage_penalty)
    limits = limits_of(max_length, memory)
    following = NextToken(head, forbidden, eos)
    covering = coverage_penalty > 0

    beams = book.first_beams(memory, limits, beam)
    answers = beams.best
    # One open hypothesis a sentence before the first token, K after it.
    state = decoder.start(memory)
    current = torch.full_like(beams.rows, bos)  # N*A
    for step in range(int(limits.max())):
        decoded, state = decoder.step(current, state, need_weights=covering)
        scores = following(decoded.features)  # of N*A hypotheses
        beams = book.cover(beams, decoded.weights if covering else None)
        found = book.extend(
            beams, scores, step, eos, length=length_penalty, coverage=coverage_penalty
        )
        beams = book.finish(beams, found, step)
        beams, parents = book.go_on(beams, found, step)
        beams, done = book.close(beams, length_penalty)
        finished = int(done.sum())
        if finished == len(done):
            break
        keep = None
        if finished >= WORTH_DROPPING * len(done):
            answers = book.file_answers(answers, beams)
            keep = (~done).nonzero()[:, 0]
            beams = select_rows(beams, keep)
        state = _follow(state, parents, keep, beam if step else 1, decoder.shares_source)
        current = beams.history[:, :, step].flatten()

    best = book.file_answers(answers, beams)
    tokens = best.tokens[:, : int(best.lengths.max())]
    result = Hypotheses(tokens, best.lengths, best.totals, best.scores)
    return with_weights(result, decoder, memory, bos, parts=need_parts) if need_weights else result


def _follow(
    state: DecoderState[Any, Any], parents: Tensor, keep: Tensor | None, before: int, shared: bool
) -> DecoderState[Any, Any]:
    """The decoder's state of the new open hypotheses, given their parents N,K among the `before`
    a sentence had, for all sentences or for those to keep. What depends on the sentence alone
    moves only where some are dropped or, unless hypotheses share it, beams become more."""
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


def _check(beam: int, length_penalty: float, coverage_penalty: float) -> None:
    if beam < 1 or length_penalty < 0 or coverage_penalty < 0:
        raise UsageError(
            f"beam={beam}, length_penalty={length_penalty}, coverage_penalty={coverage_penalty} "
            "cannot be used",
            remedy="a beam is at least 1, a penalty at least 0",
        )

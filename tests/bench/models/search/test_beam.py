"""One step of the beam's bookkeeping, by hand."""

from __future__ import annotations

import torch
from torch import Tensor

from bench.attention.base import Memory
from bench.models.search import scores_of
from bench.models.search.beam import Beams, advance, close, extend, finish, first_beams

EOS = 0
#: Log-probabilities of end, a and b.
STEP = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64).log()


def _beams(limit: int = 5, beam: int = 2) -> Beams:
    mask = torch.ones(1, 3, dtype=torch.bool)
    memory = Memory(torch.zeros(1, 3, 1), mask, torch.zeros(1, 1))
    return first_beams(memory, torch.tensor([limit]), beam)


def _step(beams: Beams, step: int, log_probs: Tensor = STEP) -> tuple[Beams, Tensor]:
    rows = log_probs.expand(beams.totals.numel(), -1)
    found = extend(beams, scores_of(rows), step, EOS, length=0.0, coverage=0.0)
    return advance(finish(beams, found, step), found, step)


def test_an_ended_hypothesis_takes_no_open_one_with_it() -> None:
    beams, parents = _step(_beams(), 0)
    assert beams.history[0, :, 0].tolist() == [1, 2]
    torch.testing.assert_close(beams.totals[0], STEP[1:])
    assert parents.tolist() == [[0, 0]]
    beams, parents = _step(beams, 1)
    assert beams.history[0, :, :2].tolist() in ([[1, 1], [1, 2]], [[1, 1], [2, 1]])
    assert beams.totals.isfinite().all()


def test_only_hypotheses_that_exist_end() -> None:
    beams, _ = _step(_beams(beam=4), 0)
    assert beams.ended.tolist() == [1]
    assert beams.totals[0].isfinite().tolist() == [True, True, False, False]
    assert beams.best.tokens[0, 0] == EOS
    torch.testing.assert_close(beams.best.totals, STEP[:1])


def test_an_end_that_is_not_among_the_best_does_not_count() -> None:
    late = torch.tensor([0.1, 0.5, 0.4], dtype=torch.float64).log()
    beams, _ = _step(_beams(), 0, late)
    assert beams.ended.tolist() == [0]
    assert beams.best.lengths.tolist() == [0]


def test_everything_ends_at_the_limit() -> None:
    beams, _ = _step(_beams(limit=1), 0)
    assert beams.ended.tolist() == [2]
    assert not beams.totals.isfinite().any()
    assert beams.best.lengths.tolist() == [1]


def test_a_sentence_closes_when_nothing_open_can_rank_higher() -> None:
    beams, _ = _step(_beams(limit=5), 0)
    _, done = close(beams, 0.0)
    assert done.tolist() == [True]  # ended at 0.5, the best open one has 0.3 and only falls
    still, done = close(beams, 2.0)  # but its norm may grow to (10 / 6) ** 2
    assert done.tolist() == [False]
    assert torch.equal(still.totals, beams.totals)


def test_a_closed_sentence_changes_no_more() -> None:
    beams, _ = _step(_beams(), 0)
    closed, _ = close(beams, 0.0)
    certain = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64).log()
    later, _ = _step(closed, 1, certain)
    assert torch.equal(later.best.tokens, beams.best.tokens)
    assert torch.equal(later.ended, beams.ended)
    assert close(later, 0.0)[1].tolist() == [True]

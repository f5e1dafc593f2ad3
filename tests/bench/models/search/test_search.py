"""Greedy and beam search against each other, against the teacher-forced pass, and against trying
everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.attention.base import Memory
from bench.errors import UsageError
from bench.models.base import Decoder
from bench.models.search import Hypotheses, coverage_term, greedy_search, length_norm
from bench.models.search.beam import beam_search

PAD, BOS, EOS = 0, 1, 2
#: One mechanism per placement, and one whose state grows.
FAMILIES = [
    pytest.param("none", "none", {}, id="fixed"),
    pytest.param("soft", "location-aware", {}, id="previous-state"),
    pytest.param("local-p", "general", {"input_feeding": True}, id="current-state"),
    pytest.param("over", "dot", {}, id="prefix"),
    pytest.param("self", "scaled-dot", {}, id="transformer"),
    pytest.param("multi-step", "dot", {}, id="convolutional"),
]


@dataclass(frozen=True)
class Searched:
    """A random model, as it was handed to the searches, and a memory of some sentences."""

    decoder: Decoder
    head: Callable[[Tensor], Tensor]
    memory: Memory

    def greedy(self, rows: Sequence[int] | None = None, **arguments: Any) -> Hypotheses:
        return greedy_search(
            self.decoder, self.head, self._rows(rows), **{"bos": BOS, "eos": EOS, **arguments}
        )

    def beam(self, rows: Sequence[int] | None = None, **arguments: Any) -> Hypotheses:
        return beam_search(
            self.decoder, self.head, self._rows(rows), **{"bos": BOS, "eos": EOS, **arguments}
        )

    def log_probs(self, tokens: Tensor, rows: Sequence[int] | None = None) -> Tensor:
        """B,T of given tokens, by the teacher-forced pass."""
        inputs = torch.cat((torch.full_like(tokens[:, :1], BOS), tokens[:, :-1]), dim=1)
        logits = self.head(self.decoder(inputs, self._rows(rows)).features)
        return logits.log_softmax(dim=2).gather(2, tokens[:, :, None])[:, :, 0].detach()

    def _rows(self, rows: Sequence[int] | None) -> Memory:
        return self.memory if rows is None else self.memory.select(torch.tensor(rows))


@pytest.fixture
def searched(make_model: Callable, make_batch: Callable) -> Callable[..., Searched]:
    def make(
        attention: str, score: str, *, sentences: int = 10, sharpness: float = 3.0, **changed: Any
    ) -> Searched:
        encoder, decoder = make_model(attention, score, **changed)
        features, mask, _ = make_batch([1 + row % 6 for row in range(sentences)])
        head = torch.nn.Linear(decoder.output_size, decoder.embedding.num_embeddings).double()

        def lively(features: Tensor) -> Tensor:
            """Small differences between features become large ones, so that sentences get
            different outputs of different lengths."""
            return sharpness * torch.sin(20 * head(features))

        return Searched(decoder, lively, encoder(features, mask))

    return make


@pytest.mark.parametrize(("attention", "score", "changed"), FAMILIES)
def test_a_beam_of_one_is_greedy_search(
    attention: str, score: str, changed: dict, searched: Callable
) -> None:
    model = searched(attention, score, **changed)
    greedy = model.greedy(max_length=9, length_penalty=0.7)
    beam = model.beam(max_length=9, length_penalty=0.7, beam=1)
    assert torch.equal(beam.tokens, greedy.tokens)
    assert torch.equal(beam.lengths, greedy.lengths)
    torch.testing.assert_close(beam.log_probs, greedy.log_probs)
    torch.testing.assert_close(beam.scores, greedy.scores)
    assert len(set(greedy.lengths.tolist())) > 1, "outputs of one length would prove little"


@pytest.mark.parametrize(("attention", "score", "changed"), FAMILIES)
@pytest.mark.parametrize("beam", [0, 4])
def test_scores_are_those_of_the_teacher_forced_pass(
    attention: str, score: str, changed: dict, beam: int, searched: Callable
) -> None:
    model = searched(attention, score, **changed)
    found = model.beam(max_length=8, beam=beam) if beam else model.greedy(max_length=8)
    real = torch.arange(found.tokens.shape[1]) < found.lengths[:, None]
    assert not found.tokens[~real].any()
    totals = (model.log_probs(found.tokens) * real).sum(dim=1)
    torch.testing.assert_close(found.log_probs, totals)
    torch.testing.assert_close(found.scores, totals / ((5 + found.lengths) / 6))


@pytest.mark.parametrize(("attention", "score", "changed"), FAMILIES)
def test_greedy_search_takes_the_likeliest_token_every_time(
    attention: str, score: str, changed: dict, searched: Callable
) -> None:
    model = searched(attention, score, **changed)
    found = model.greedy(max_length=7)
    inputs = torch.cat((torch.full_like(found.tokens[:, :1], BOS), found.tokens[:, :-1]), dim=1)
    best = model.head(model.decoder(inputs, model.memory).features).argmax(dim=2)
    for tokens, likeliest, length in zip(found.tokens, best, found.lengths, strict=True):
        assert torch.equal(tokens[:length], likeliest[:length])
        assert EOS not in tokens[: length - 1]
        assert length == 7 or tokens[length - 1] == EOS


@pytest.mark.parametrize(("attention", "score", "changed"), FAMILIES)
@pytest.mark.parametrize("beam", [0, 3])
def test_a_sentence_is_decoded_alone_as_in_a_batch(
    attention: str, score: str, changed: dict, beam: int, searched: Callable
) -> None:
    """Sentences finish at different steps and leave the batch; none of it changes another."""
    model = searched(attention, score, **changed)
    limits = torch.tensor([3 + row % 7 for row in range(10)])

    def find(rows: Sequence[int], limit: Tensor) -> Hypotheses:
        if not beam:
            return model.greedy(rows, max_length=limit)
        coverage = 0.0 if attention == "none" else 0.3
        return model.beam(rows, max_length=limit, beam=beam, coverage_penalty=coverage)

    together = find(range(10), limits)
    assert (together.lengths <= limits).all()
    for row in range(10):
        alone = find([row], limits[row : row + 1])
        length = int(alone.lengths)
        assert together.lengths[row] == length
        assert torch.equal(together.tokens[row, :length], alone.tokens[0])
        assert not together.tokens[row, length:].any()
        torch.testing.assert_close(together.scores[row], alone.scores[0])


@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_wider_beams_rank_at_least_as_high_on_average(
    length_penalty: float, searched: Callable
) -> None:
    model = searched("global", "general", sentences=60)
    greedy = model.greedy(max_length=8, length_penalty=length_penalty).scores
    scores = [
        model.beam(max_length=8, beam=beam, length_penalty=length_penalty).scores
        for beam in (4, 16)
    ]
    means = [float(greedy.mean()), *(float(one.mean()) for one in scores)]
    assert means == sorted(means)
    assert means[-1] > means[0]
    assert ((scores[-1] >= greedy - 1e-9).double().mean()) > 0.9


@pytest.mark.parametrize(("attention", "score", "changed"), FAMILIES)
@pytest.mark.parametrize("length_penalty", [0.0, 0.6, 1.4])
def test_a_beam_that_drops_nothing_finds_the_optimum(
    attention: str, score: str, changed: dict, length_penalty: float, searched: Callable
) -> None:
    model = searched(attention, score, sentences=4, sharpness=1.0, **changed)
    forbidden, longest = (PAD, BOS, 5, 6, 7, 8), 4
    best, tokens = _by_trying_everything(model, [3, 4], longest, length_penalty)
    found = model.beam(
        max_length=longest, beam=200, length_penalty=length_penalty, forbidden=forbidden
    )
    torch.testing.assert_close(found.scores, best)
    written = [[int(n) for n in row if n not in (PAD, EOS)] for row in found.tokens]
    assert written == tokens


def _by_trying_everything(
    model: Searched, words: list[int], longest: int, length_penalty: float
) -> tuple[Tensor, list[list[int]]]:
    candidates = [
        (*body, EOS) for size in range(longest) for body in product(words, repeat=size)
    ] + list(product(words, repeat=longest))
    count = len(model.memory.mask)
    scores = []
    for candidate in candidates:
        tokens = torch.tensor([candidate] * count)
        total = model.log_probs(tokens).sum(dim=1)
        scores.append(total / ((5 + len(candidate)) / 6) ** length_penalty)
    best, which = torch.stack(scores).max(dim=0)
    winners = [[token for token in candidates[place] if token != EOS] for place in which.tolist()]
    return best, winners


@pytest.mark.parametrize(("attention", "score", "changed"), FAMILIES)
@pytest.mark.parametrize("beam", [0, 3])
def test_weights_are_those_of_reading_the_output(
    attention: str, score: str, changed: dict, beam: int, searched: Callable
) -> None:
    model = searched(attention, score, **changed)
    arguments: dict[str, Any] = {"max_length": 8, "need_weights": True, "need_parts": True}
    found = model.beam(beam=beam, **arguments) if beam else model.greedy(**arguments)
    if attention == "none":
        assert found.weights is None
        return
    state, current = model.decoder.start(model.memory), torch.full((10,), BOS)
    for position in range(found.tokens.shape[1]):
        decoded, state = model.decoder.step(current, state)
        current = found.tokens[:, position]
        real = position < found.lengths
        for ours, theirs in [
            (found.weights, decoded.weights),
            *((found.parts[name], decoded.parts[name]) for name in decoded.parts),
        ]:
            torch.testing.assert_close(ours[real, position], theirs[real, 0])
            assert not ours[~real, position].any()
    assert bool(found.parts) == bool(decoded.parts)
    assert not model.greedy(max_length=8, need_weights=True).parts


def test_forbidden_tokens_never_appear_and_change_no_other_score(searched: Callable) -> None:
    model = searched("global", "dot")
    free = model.greedy(max_length=8)
    often = int(torch.mode(free.tokens[free.tokens > EOS]).values)
    for found in (
        model.greedy(max_length=8, forbidden=(PAD, BOS, often)),
        model.beam(max_length=8, beam=3, forbidden=(PAD, BOS, often)),
    ):
        real = torch.arange(found.tokens.shape[1]) < found.lengths[:, None]
        assert not torch.isin(found.tokens[real], torch.tensor([PAD, BOS, often])).any()
        totals = (model.log_probs(found.tokens) * real).sum(dim=1)
        torch.testing.assert_close(found.log_probs, totals)


def test_a_coverage_penalty_counts_what_was_left_out(searched: Callable) -> None:
    model = searched("soft", "concat", sharpness=1.0)
    arguments: dict[str, Any] = {"max_length": 8, "beam": 5, "length_penalty": 0.8}
    plain = model.beam(**arguments)
    found = model.beam(**arguments, coverage_penalty=2.0, need_weights=True)
    assert not torch.equal(found.tokens[:, :1], plain.tokens[:, :1]) or not torch.equal(
        found.lengths, plain.lengths
    )
    covered = found.weights.sum(dim=1)  # B,S
    terms = coverage_term(covered, model.memory.mask, 2.0)
    expected = found.log_probs / length_norm(found.lengths, 0.8) + terms
    torch.testing.assert_close(found.scores, expected)


def test_wu_2016_equation_14_by_hand() -> None:
    torch.testing.assert_close(
        length_norm(torch.tensor([1, 7]), 0.5), torch.tensor([1.0, 2.0**0.5])
    )
    coverage = torch.tensor([[0.5, 1.7, 0.25], [1.0, 0.0, 9.0]])
    mask = torch.tensor([[True, True, False], [True, True, True]])
    logs = torch.tensor([0.5, 1e-3]).log()  # 1.7 counts as 1, padding not at all, 0 as 0.001
    torch.testing.assert_close(coverage_term(coverage, mask, 0.2), 0.2 * logs)


def test_without_attention_a_coverage_penalty_has_no_effect(searched: Callable) -> None:
    model = searched("none", "none")
    plain = model.beam(max_length=8, beam=3)
    found = model.beam(max_length=8, beam=3, coverage_penalty=1.0)
    assert torch.equal(found.tokens, plain.tokens)
    torch.testing.assert_close(found.scores, plain.scores)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"beam": 0}, "beam=0"),
        ({"length_penalty": -1.0}, "length_penalty=-1.0"),
        ({"coverage_penalty": -0.1}, "coverage_penalty=-0.1"),
        ({"max_length": 0}, "at least one token, not 0"),
        ({"max_length": torch.tensor([4, 0, 2])}, "at least one token, not 0"),
        ({"forbidden": (PAD, EOS)}, "the end token cannot be forbidden"),
    ],
)
def test_arguments_without_a_meaning_are_refused(
    arguments: dict, message: str, searched: Callable
) -> None:
    model = searched("global", "dot", sentences=3)
    with pytest.raises(UsageError, match=message):
        model.beam(**{"max_length": 5, **arguments})


def test_no_gradient_is_kept(searched: Callable) -> None:
    found = searched("global", "dot").beam(max_length=4, beam=2, need_weights=True)
    assert not found.log_probs.requires_grad
    assert not found.weights.requires_grad

"""Batched search against the slow one, and the likeliest extensions against sorting them all."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from slow_search import slow_beam_search

from bench.models.layers import VocabularyHead
from bench.models.search import COLUMN, NextToken, columns, greedy_search
from bench.models.search.beam import beam_search, best_extensions

PAD, BOS, EOS = 0, 1, 2
LIMITS = [7, 4, 9, 6, 3, 8]
MODELS = [
    pytest.param("none", "none", {}, id="fixed"),
    pytest.param("soft", "concat", {}, id="previous-state"),
    pytest.param("global", "general", {"input_feeding": True}, id="current-state"),
    pytest.param("self", "scaled-dot", {}, id="transformer"),
]


@pytest.mark.parametrize(("attention", "score", "changed"), MODELS)
@pytest.mark.parametrize("beam", [1, 2, 5])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_outputs_equal_those_of_the_slow_search(
    attention: str,
    score: str,
    changed: dict,
    beam: int,
    length_penalty: float,
    make_model: Callable,
    make_batch: Callable,
) -> None:
    encoder, decoder = make_model(attention, score, **changed)
    features, mask, _ = make_batch([3, 5, 2, 6, 4, 1])
    memory = encoder(features, mask)
    plain = torch.nn.Linear(decoder.output_size, decoder.embedding.num_embeddings).double()

    def head(features: torch.Tensor) -> torch.Tensor:
        logits = 2.0 * torch.sin(20 * plain(features))  # outputs that differ
        return logits.index_add(
            2, torch.tensor([EOS]), torch.full_like(logits[..., :1], -2.0)
        )  # and do not all end at once

    slow = slow_beam_search(
        decoder, head, memory,
        bos=BOS, eos=EOS, limits=LIMITS, beam=beam, length_penalty=length_penalty,
        forbidden=(PAD, BOS),
    )  # fmt: skip
    arguments = {
        "bos": BOS,
        "eos": EOS,
        "max_length": torch.tensor(LIMITS),
        "length_penalty": length_penalty,
        "forbidden": (PAD, BOS),
    }
    searches = [beam_search(decoder, head, memory, beam=beam, **arguments)]
    if beam == 1:
        searches.append(greedy_search(decoder, head, memory, **arguments))
    for fast in searches:
        rows = zip(fast.tokens.tolist(), fast.lengths.tolist(), strict=True)
        assert [tokens[:length] for tokens, length in rows] == [one.tokens for one in slow]
        torch.testing.assert_close(fast.log_probs.tolist(), [one.total for one in slow])
        torch.testing.assert_close(fast.scores.tolist(), [one.score for one in slow])
    assert len({tuple(one.tokens) for one in slow}) > 1, "equal outputs would prove little"


@pytest.mark.parametrize("size", [3, COLUMN - 1, COLUMN, 15 * COLUMN, 47 * COLUMN + 5])
@pytest.mark.parametrize("hypotheses", [1, 4])
def test_the_best_extensions_are_those_of_sorting_everything(size: int, hypotheses: int) -> None:
    totals = torch.randn(6, hypotheses, dtype=torch.float64)
    totals[1, 1:] = float("-inf")  # beams that do not exist yet
    logits = torch.randn(6 * hypotheses, 1, size, dtype=torch.float64)
    following = NextToken(lambda features: features, (1,), EOS)(logits)
    count = min(10, hypotheses * size)
    sums, parents, tokens = best_extensions(totals, following, count)
    log_probs = logits[:, 0].log_softmax(dim=1)
    log_probs[:, 1] = float("-inf")
    every = totals[:, :, None] + log_probs.view(6, hypotheses, size)
    torch.testing.assert_close(sums, every.flatten(1).sort(descending=True).values[:, :count])
    torch.testing.assert_close(every[torch.arange(6)[:, None], parents, tokens], sums)
    for row in range(6):
        found = list(zip(parents[row].tolist(), tokens[row].tolist(), strict=True))
        assert len(set(found)) == count


@pytest.mark.parametrize("size", [9, 32, 200])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_log_probabilities_are_those_of_the_head(size: int, dtype: torch.dtype) -> None:
    head = VocabularyHead(6, torch.nn.Embedding(size, 6)).to(dtype)
    torch.nn.init.normal_(head.projection.bias)
    following = NextToken(head, (0, 4), EOS)
    with torch.no_grad():
        for rows in (7, 3):
            features = torch.randn(rows, 1, 6, dtype=dtype)
            expected = head(features)[:, 0].log_softmax(dim=1)
            scores = following(features)
            found = scores.values[:, :size].double() * scores.unit - scores.norms[:, None]
            assert (found[:, [0, 4]] == float("-inf")).all()
            kept = [token for token in range(size) if token not in (0, 4)]
            torch.testing.assert_close(found[:, kept].to(dtype), expected[:, kept])
            best, tokens = scores.best()
            assert torch.equal(found.argmax(dim=1), tokens)
            torch.testing.assert_close(found.amax(dim=1), best)


def test_a_wrongly_chosen_token_exists_where_none_is_allowed() -> None:
    """A search of which everything is forbidden but the end has hypotheses that nobody opens."""
    size = 15 * COLUMN
    logits = torch.randn(2, 1, size)
    never = [token for token in range(size) if token != EOS]
    following = NextToken(lambda features: features, never, EOS)(logits)
    sums, _, tokens = best_extensions(torch.zeros(2, 1).double(), following, 4)
    assert tokens[:, 0].tolist() == [EOS, EOS] and sums[:, 0].isfinite().all()
    assert (sums[:, 1:] == float("-inf")).all() and int(tokens.max()) < size


@pytest.mark.parametrize("size", [1, 16, 17, 500, 5921, 32000])
def test_columns_hold_every_token(size: int) -> None:
    height, width = columns(size)
    assert size <= height * width < size + width and width % 16 == 0


@pytest.mark.parametrize("beam", [1, 4])
def test_an_aligned_product_changes_no_output(
    beam: int, make_model: Callable, make_batch: Callable
) -> None:
    """Sentences leave the batch and beams become more, all in one buffer."""
    encoder, decoder = make_model("global", "general", input_feeding=True)
    features, mask, _ = make_batch([3, 5, 2, 6, 4, 1, 6, 6])
    memory = encoder.float()(features.float(), mask)
    head = VocabularyHead(decoder.float().output_size, decoder.embedding, tied=False)
    torch.nn.init.normal_(head.projection.weight, std=3.0)
    arguments = {"bos": BOS, "eos": EOS, "max_length": 9, "beam": beam, "forbidden": (PAD, BOS)}
    aligned = beam_search(decoder, head, memory, **arguments)
    plain = beam_search(decoder, head.forward, memory, **arguments)
    assert torch.equal(aligned.tokens, plain.tokens)
    torch.testing.assert_close(aligned.log_probs, plain.log_probs, rtol=1e-6, atol=1e-6)
    assert len(set(aligned.lengths.tolist())) > 1

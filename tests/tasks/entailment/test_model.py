"""Fixed vectors by spelling, and their slowly learned part."""

from __future__ import annotations

import torch

from tasks.entailment.model import WordEmbedding, ngrams, spelling_vectors

WORDS = (None, "jumping", "jumps", "piano", "jumping")


def test_vectors_are_units_and_depend_on_the_spelling_alone() -> None:
    found = spelling_vectors(WORDS, 256, 0.5)
    torch.testing.assert_close(found.norm(dim=1), torch.ones(len(WORDS)))
    assert torch.equal(found[1], found[4])
    assert torch.equal(found[1:3], spelling_vectors(WORDS[:3], 256, 0.5)[1:])


def test_words_of_one_stem_are_near_and_others_nearly_orthogonal() -> None:
    found = spelling_vectors(WORDS, 4096, 0.5)
    alike = found @ found.T
    assert alike[1, 2] > 0.15
    assert alike[[0, 1, 2], 3].abs().max() < 0.15
    own = spelling_vectors(WORDS, 4096, 0.0)
    assert (own @ own.T)[1, 2].abs() < 0.15, "no share, nothing in common"


def test_ngrams_have_the_borders() -> None:
    assert list(ngrams("an")) == ["<an", "an>", "<an>", "<an>"]
    assert "<ju" in set(ngrams("jumps")) and "umps>" in set(ngrams("jumps"))


def test_the_learned_part_starts_at_zero_and_moves_by_its_rate() -> None:
    fixed = spelling_vectors(("a", "b", "c"), 8, 0.3)
    tokens = torch.tensor([[0, 1, 2]])
    embedding = WordEmbedding(fixed, 0.5)
    assert torch.equal(embedding(tokens)[0, 1:], fixed[1:])
    assert not embedding(tokens)[0, 0].any(), "padding stays 0"
    with torch.no_grad():
        embedding.weight[1] = 2.0
    torch.testing.assert_close(embedding(tokens)[0, 1], fixed[1] + 1.0)


def test_rate_zero_learns_nothing() -> None:
    frozen = WordEmbedding(spelling_vectors(("a", "b"), 8, 0.3), 0.0)
    assert not any(parameter.requires_grad for parameter in frozen.parameters())

"""`location`: how long a source may be, and where it cannot stand."""

from __future__ import annotations

import pytest
import torch

from bench.attention.attention import ScoredOptions, build_attention
from bench.attention.base import Memory, Sizes
from bench.attention.registries import scores
from bench.errors import NotApplicable, UsageError

SIZE = 4


def test_what_stands_at_a_place_has_no_part_in_it() -> None:
    module = build_attention("global", Sizes(SIZE, SIZE), "location").double()
    mask = torch.arange(5) < torch.tensor([[5], [3]])
    query = torch.randn(2, 3, SIZE, dtype=torch.float64)
    weights = []
    for _ in range(2):
        states = torch.randn(2, 5, SIZE, dtype=torch.float64)
        keys = module.prepare(Memory(states, mask, states[:, 0]))
        weights.append(module(query, keys, module.initial_state(keys)).weights)
    torch.testing.assert_close(*weights)
    rows = module.score.places[0, :3]  # a shorter source takes the first
    torch.testing.assert_close(weights[0][1, :, :3], (query[1] @ rows.T).softmax(-1))


def test_a_source_longer_than_its_places_is_refused() -> None:
    score = scores.get("location").build(SIZE, SIZE, options=ScoredOptions(source_positions=3))
    assert score.project_keys(torch.randn(1, 3, SIZE)).shape == (1, 1, 3, SIZE)
    with pytest.raises(UsageError, match="a source of 4 positions has only 3 places") as caught:
        score.project_keys(torch.randn(1, 4, SIZE))
    assert caught.value.where == "source_positions"


@pytest.mark.parametrize(
    ("attention", "reason"),
    [("self", "self-attention looks at no source"), ("hierarchical", "vectors of segments")],
)
def test_places_are_those_of_a_source(attention: str, reason: str) -> None:
    with pytest.raises(NotApplicable, match=reason):
        build_attention(attention, Sizes(SIZE, SIZE), "location")

"""`key-value` against equations 7 to 9 of Daniluk 2017, written out with loops."""

from __future__ import annotations

import math

import pytest
import torch

from bench.attention.attention import build_attention
from bench.attention.base import Memory, Sizes
from bench.attention.registries import attentions
from bench.errors import UsageError

LENGTHS = (5, 3)


@pytest.mark.parametrize("apart", [False, True])
def test_one_half_is_compared_the_other_is_read(apart: bool) -> None:
    torch.manual_seed(0)
    module = build_attention("key-value", Sizes(query=4, memory=6)).double()
    states, query = torch.randn(2, 5, 6).double(), torch.randn(2, 3, 4).double()
    values = torch.randn(2, 5, 6).double() if apart else None
    mask = torch.arange(5) < torch.tensor(LENGTHS)[:, None]
    keys = module.prepare(Memory(states, mask, states[:, 0], values=values))
    found = module(query, keys, module.initial_state(keys))
    assert found.weights is not None and module.context_size == found.context.shape[2] == 3
    read = states if values is None else values
    for b, length in enumerate(LENGTHS):
        for t in range(3):
            energies = []
            for s in range(length):
                key = states[b, s, :3]  # k_s
                hidden = module.score.query(query[b, t, None, None, :2])[0, 0, 0]  # of k_t
                hidden = hidden + module.score.project_keys(key[None, None])[0, 0, 0]
                energies.append(float(module.score.vector[0] @ torch.tanh(hidden)))
            total = sum(map(math.exp, energies))
            context = torch.zeros(3).double()
            for s in range(length):
                weight = math.exp(energies[s]) / total
                assert float(found.weights[b, t, s]) == pytest.approx(weight, abs=1e-12)
                context += weight * read[b, s, 3:]  # v_s
            torch.testing.assert_close(found.context[b, t], context)


def test_a_state_of_an_odd_size_has_no_halves() -> None:
    for sizes in (Sizes(query=5, memory=6), Sizes(query=6, memory=5)):
        with pytest.raises(UsageError, match="size 5 have no halves"):
            build_attention("key-value", sizes)
    assert "heads" not in attentions.get("key-value").Options.model_fields

"""`aoa` against equations 2 to 4 of Huang 2019, written out with loops over `global`'s context."""

from __future__ import annotations

import math

import pytest
import torch

from bench.attention.attention import build_attention
from bench.attention.base import Memory, Sizes

Q, D = 4, 6


def test_information_is_gated_by_query_and_context() -> None:
    torch.manual_seed(0)
    module = build_attention("aoa", Sizes(Q, D), "general").double()
    plain = build_attention("global", Sizes(Q, D), "general").double()
    plain.load_state_dict(
        {name: value for name, value in module.state_dict().items() if "information" not in name}
    )
    states, query = torch.randn(2, 5, D).double(), torch.randn(2, 3, Q).double()
    mask = torch.arange(5) < torch.tensor([[5], [3]])
    keys = module.prepare(Memory(states, mask, states[:, 0]))
    found = module(query, keys, module.initial_state(keys))
    before = plain(query, keys, plain.initial_state(keys))
    assert torch.equal(found.weights, before.weights)
    weight, bias = module.information_and_gate.weight, module.information_and_gate.bias
    for b in range(2):
        for t in range(3):
            both = [*query[b, t].tolist(), *before.context[b, t].tolist()]
            for d in range(D):
                information, gate = float(bias[d]), float(bias[D + d])
                for place, value in enumerate(both):
                    information += float(weight[d, place]) * value
                    gate += float(weight[D + d, place]) * value
                expected = information / (1 + math.exp(-gate))
                assert float(found.context[b, t, d]) == pytest.approx(expected, abs=1e-12)

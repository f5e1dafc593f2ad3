"""`sentinel` against equations 8 to 13 of Lu 2017, written out with loops."""

from __future__ import annotations

import math

import pytest
import torch

from bench.attention.attention import build_attention
from bench.attention.base import Memory, Sizes

LENGTHS, STEPS, SIZE = (5, 3), 3, 4


@pytest.mark.parametrize("heads", [1, 2])
def test_the_sentinel_takes_weight_beside_the_positions(heads: int) -> None:
    torch.manual_seed(0)
    kind = type(build_attention("sentinel", Sizes(SIZE, SIZE)))
    options = kind.Options(heads=heads)
    module = build_attention("sentinel", Sizes(SIZE, SIZE), "scaled-dot", options).double()
    states, query = torch.randn(2, 5, SIZE).double(), torch.randn(2, STEPS, SIZE).double()
    mask = torch.arange(5) < torch.tensor(LENGTHS)[:, None]
    keys = module.prepare(Memory(states, mask, states[:, 0]))
    found = module(query, keys, module.initial_state(keys))
    assert found.weights is not None and module.weights_kind == "sub-distribution"

    def projected(name: str, vector: torch.Tensor) -> torch.Tensor:
        layer = getattr(module, name)
        return (vector if layer is None else layer(vector)).view(heads, -1)

    for b, length in enumerate(LENGTHS):
        for t in range(STEPS):
            h = query[b, t]
            gate = torch.sigmoid(module.sentinel_gate.weight @ h + module.sentinel_gate.bias)
            content = module.sentinel_content.weight @ h + module.sentinel_content.bias
            places = [*states[b, :length], gate * torch.tanh(content)]
            asked = projected("query_projection", h)
            context, seen = [], torch.zeros(length).double()
            for head in range(heads):
                energies = [
                    float(asked[head] @ projected("key_projection", place)[head])
                    / math.sqrt(SIZE / heads)
                    for place in places
                ]
                total = sum(map(math.exp, energies))
                shares = [math.exp(energy) / total for energy in energies]
                seen += torch.tensor(shares[:length]).double() / heads
                context.append(
                    sum(
                        share * projected("value_projection", place)[head]
                        for share, place in zip(shares, places, strict=True)
                    )
                )
            joined = torch.cat(context)
            if module.output_projection is not None:
                joined = module.output_projection(joined)
            torch.testing.assert_close(found.context[b, t], joined)
            torch.testing.assert_close(found.weights[b, t, :length], seen)
            assert 0 < float(found.weights[b, t].sum()) < 1

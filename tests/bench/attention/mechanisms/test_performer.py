"""`performer` against Choromanski 2021 written out with loops, and against the softmax."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from bench.attention.attention import build_attention
from bench.attention.base import AttentionState, Memory, Sizes
from bench.attention.mechanisms.performer import (
    PerformerAttention,
    PerformerOptions,
    orthogonal_rows,
)

SIZE, HEADS = 8, 2
K = SIZE // HEADS


def build(features: int) -> PerformerAttention:
    module = build_attention(
        "performer",
        Sizes(SIZE, SIZE, heads=HEADS),
        options=PerformerOptions(random_features=features),
    )
    assert isinstance(module, PerformerAttention)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.3)
    return module.double()


@torch.no_grad()
def test_weights_are_the_papers() -> None:
    module = build(5)
    states = torch.randn(1, 4, SIZE, dtype=torch.float64)
    query = torch.randn(1, 3, SIZE, dtype=torch.float64)
    keys = module.prepare(Memory(states, torch.ones(1, 4, dtype=torch.bool), states[:, 0]))
    found = module(query, keys, AttentionState())
    queries = module.query_projection(query[0]).unflatten(-1, (HEADS, K)) / K**0.25
    table = module.key_projection(states[0]).unflatten(-1, (HEADS, K)) / K**0.25

    def phi(x: torch.Tensor) -> list[float]:
        return [math.exp(float(w @ x) - float(x @ x) / 2) / math.sqrt(5) for w in module.directions]

    for h in range(HEADS):
        for t in range(3):
            likeness = [
                sum(a * b for a, b in zip(phi(queries[t, h]), phi(table[s, h]), strict=True))
                for s in range(4)
            ]
            weights = torch.tensor(likeness, dtype=torch.float64) / sum(likeness)
            torch.testing.assert_close(found.parts[f"head {h + 1}"][0, t], weights)


@torch.no_grad()
def test_many_features_come_near_the_softmax() -> None:
    states = torch.randn(2, 6, SIZE, dtype=torch.float64)
    memory = Memory(states, torch.ones(2, 6, dtype=torch.bool), states[:, 0])
    off = []
    for features in (8, 64, 4096):
        torch.manual_seed(3)
        module = build(features)
        exact = build_attention("self", Sizes(SIZE, SIZE, heads=HEADS)).double()
        exact.load_state_dict(module.state_dict(), strict=False)
        found, expected = (
            one(states, one.prepare(memory), AttentionState()).weights for one in (module, exact)
        )
        off.append((found - expected).abs().mean().item())
    assert off[2] < 0.01 and off[2] < off[1] < off[0]


def test_directions_are_orthogonal_in_blocks_and_as_long_as_normal_vectors() -> None:
    rows = orthogonal_rows(10, 4)
    assert rows.shape == (10, 4)
    for block in rows.split(4):
        gram = block @ block.T
        torch.testing.assert_close(gram, gram.diagonal().diag(), atol=1e-5, rtol=0)
    many = orthogonal_rows(4000, 4)
    assert many.square().sum(1).mean().item() == pytest.approx(4, rel=0.1)
    assert many.mean(0).abs().max() < 0.1


def test_features_come_from_the_seed_and_are_kept() -> None:
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        drawn.append(build(6).state_dict()["directions"])
    assert torch.equal(drawn[0], drawn[1]) and not torch.equal(drawn[0], drawn[2])

"""`performer` against Choromanski 2021 written out with loops, and against the softmax."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from bench.attention.attention import build_attention
from bench.attention.base import AttentionState, Memory, Sizes, Slot
from bench.attention.mechanisms.performer import (
    PerformerAttention,
    PerformerOptions,
    orthogonal_rows,
)

SIZE, HEADS = 8, 2
K = SIZE // HEADS


def build(features: int, slot: Slot = "cross") -> PerformerAttention:
    module = build_attention(
        "performer",
        Sizes(SIZE, SIZE, heads=HEADS, slot=slot),
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


def large(slot: Slot = "cross") -> PerformerAttention:
    """In float32, with keys so long that no feature of theirs is a float32 number."""
    module = build(16, slot).float()
    with torch.no_grad():
        module.key_projection.weight.mul_(100)
    return module


def in_logarithms(module: PerformerAttention, query: Tensor, states: Tensor) -> Tensor:
    """The weights H,T,S of queries T,D over states S,D by logarithms in float64, without masks."""
    module = copy.deepcopy(module).double()
    logs = []
    for projection, vectors in ((module.query_projection, query), (module.key_projection, states)):
        x = projection(vectors.double()).unflatten(-1, (HEADS, K)).transpose(0, 1) / K**0.25
        logs.append(x @ module.directions.T - x.square().sum(-1, keepdim=True) / 2)  # H,N,F
    return (logs[0][:, :, None] + logs[1][:, None]).logsumexp(-1).softmax(-1)


@torch.no_grad()
def test_long_keys_do_not_vanish() -> None:
    module = large()
    states, query = torch.randn(2, 5, SIZE), torch.randn(2, 3, SIZE)
    mask = torch.arange(5) < torch.tensor([[5], [3]])
    keys = module.prepare(Memory(states, mask, states[:, 0]))
    assert (keys.tensors["scale"] < -200).all(), "features would be 0 without it"
    found = module(query, keys, AttentionState())
    for example, length in enumerate((5, 3)):
        expected = in_logarithms(module, query[example], states[example, :length])
        for h in range(HEADS):
            weights = found.parts[f"head {h + 1}"][example, :, :length]
            torch.testing.assert_close(weights, expected[h].float(), atol=1e-3, rtol=1e-3)
    fast = module(query, keys, AttentionState(), need_weights=False)
    torch.testing.assert_close(fast.context, found.context)


@torch.no_grad()
def test_long_keys_that_come_one_by_one_do_not_vanish() -> None:
    """Keys grow and shrink from step to step, from vanishing to plain and back."""
    module = large("decoder")
    states = torch.randn(1, 6, SIZE) * torch.tensor([1.0, 2.0, 0.5, 0.01, 1.0, 0.02])[:, None]
    keys, state, exact = None, AttentionState(), copy.deepcopy(module).double()
    values = exact.value_projection(states[0].double()).unflatten(-1, (HEADS, K))
    for t in range(6):
        keys = module.extend(keys, states[:, t : t + 1])
        found = module(states[:, t : t + 1], keys, state, need_weights=False)
        state = found.state
        weights = in_logarithms(module, states[0, t : t + 1], states[0, : t + 1])[:, 0]  # H,S
        context = torch.einsum("hs,shk->hk", weights, values[: t + 1]).flatten()
        expected = exact.output_projection(context).float()
        torch.testing.assert_close(found.context[0, 0], expected, atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_features_within_range_are_not_scaled() -> None:
    module = build(16)
    states = torch.randn(2, 5, SIZE, dtype=torch.float64)
    keys = module.prepare(Memory(states, torch.ones(2, 5, dtype=torch.bool), states[:, 0]))
    assert not keys.tensors["scale"].any()


def test_gradients_of_long_keys_are_finite() -> None:
    module = large()
    states = torch.randn(2, 5, SIZE, requires_grad=True)
    mask = torch.arange(5) < torch.tensor([[5], [3]])
    keys = module.prepare(Memory(states, mask, states[:, 0]))
    found = module(torch.randn(2, 3, SIZE), keys, AttentionState(), need_weights=False)
    found.context.square().sum().backward()
    assert states.grad is not None and states.grad.isfinite().all()
    assert not states.grad[1, 3:].any()

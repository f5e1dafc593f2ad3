"""`uniform`, `diagonal`, `average` and `synthesizer` against their formulas written out with
loops."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.attention.attention import build_attention
from bench.attention.base import Attention, AttentionOutput, AttentionState, Memory, Sizes
from bench.attention.registries import attentions
from bench.errors import NotApplicable, UsageError

LENGTHS, STEPS, SIZE = (6, 4), 3, 4


def build(name: str, *, slot: Any = "cross", ratio: float = 1.0, **options: Any) -> Attention:
    sizes = Sizes(SIZE, SIZE, heads=2, slot=slot, length_ratio=ratio)
    kind = attentions.get(name)
    return build_attention(name, sizes, options=kind.Options(**options)).double()


def attend(module: Attention, query: Tensor, states: Tensor, position: int = 0) -> AttentionOutput:
    mask = torch.arange(states.shape[1]) < torch.tensor(LENGTHS)[:, None]
    keys = module.prepare(Memory(states, mask, states[:, 0]))
    found: AttentionOutput = module(query, keys, AttentionState(position))
    return found


@pytest.fixture
def states() -> Tensor:
    return torch.randn(2, 6, SIZE).double()


@pytest.fixture
def query() -> Tensor:
    return torch.randn(2, STEPS, SIZE).double()


def test_uniform_is_the_mean_of_the_real_states(states: Tensor, query: Tensor) -> None:
    for normaliser in ("softmax", "sparsemax"):
        found = attend(build("uniform", normaliser=normaliser), query, states)
        for b, length in enumerate(LENGTHS):
            for t in range(STEPS):
                mean = sum(states[b, s] for s in range(length)) / length
                torch.testing.assert_close(found.context[b, t], mean)


@pytest.mark.parametrize("gaussian", [True, False])
@pytest.mark.parametrize("ratio", [1.0, 2.0])
def test_diagonal_looks_around_its_step(
    states: Tensor, query: Tensor, ratio: float, gaussian: bool
) -> None:
    module = build("diagonal", ratio=ratio, window=2, gaussian=gaussian)
    found = attend(module, query, states, position=1)
    for b, length in enumerate(LENGTHS):
        for t in range(STEPS):
            centre = min((1 + t) * ratio, length - 1)
            raw = [
                (math.exp(-((s - centre) ** 2) / 2) if gaussian else 1.0)  # sigma = D/2 = 1
                if abs(s - centre) <= 2
                else 0.0
                for s in range(length)
            ]
            assert found.weights is not None
            for s in range(length):
                weight = raw[s] / sum(raw)
                assert float(found.weights[b, t, s]) == pytest.approx(weight, abs=1e-12)


def test_average_gates_the_mean_so_far(states: Tensor) -> None:
    module = build("average", slot="decoder", average_ffn_dim=5)
    found = attend(module, states, states)
    inner, outer, gates = (
        (layer.weight, layer.bias) for layer in (module.inner, module.outer, module.gates)
    )
    for b, length in enumerate(LENGTHS):
        for t in range(length):
            y = states[b, t]
            mean = sum(states[b, k] for k in range(t + 1)) / (t + 1)
            g = outer[0] @ (inner[0] @ mean + inner[1]).clamp_min(0) + outer[1]
            shares = torch.sigmoid(gates[0] @ torch.cat((y, g)) + gates[1])
            expected = shares[:SIZE] * y + shares[SIZE:] * g
            torch.testing.assert_close(found.context[b, t], expected)


@pytest.mark.parametrize("kind", ["dense", "random"])
@pytest.mark.parametrize("slot", ["encoder", "decoder"])
def test_synthesizer_makes_energies_without_comparing(states: Tensor, kind: str, slot: str) -> None:
    module = build("synthesizer", slot=slot, synthesizer=kind, longest=7)
    found = attend(module, states, states)
    half = SIZE // 2
    for b, length in enumerate(LENGTHS):
        for t in range(length):
            heads = []
            for h in range(2):
                if kind == "dense":
                    first = module.query_projection(states[b, t]).clamp_min(0)
                    own = first[h * half : (h + 1) * half]
                    energies = module.dense.weight[h] @ own + module.dense.bias[h]
                else:
                    energies = module.random[h, t]
                seen = range(t + 1 if slot == "decoder" else length)
                total = sum(math.exp(energies[s].item()) for s in seen)
                context = torch.zeros(half).double()
                for s in seen:
                    value = module.value_projection(states[b, s])[h * half : (h + 1) * half]
                    context += math.exp(energies[s].item()) / total * value
                heads.append(context)
            expected = module.output_projection(torch.cat(heads))
            torch.testing.assert_close(found.context[b, t], expected)


def test_synthesizer_refuses_longer_sequences(states: Tensor) -> None:
    module = build("synthesizer", slot="encoder", longest=5)
    with pytest.raises(UsageError, match="6 units is longer than the synthesizer's 5 positions"):
        attend(module, states, states)


@pytest.mark.parametrize("name", ["average", "synthesizer"])
def test_self_attention_is_the_transformers(name: str) -> None:
    for backbone in ("recurrent", "convolutional"):
        with pytest.raises(NotApplicable, match="stands in self-attention"):
            build_attention(name, Sizes(SIZE, SIZE), backbone=backbone)  # type: ignore[arg-type]

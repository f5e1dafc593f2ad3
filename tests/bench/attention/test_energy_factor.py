"""The factor on energies, in every mechanism that normalises them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from bench.attention.attention import ScoredAttention, ScoreOptions, build_attention
from bench.attention.base import AttentionOutput, Memory, Score, Sizes, Slot
from bench.attention.registries import attentions
from bench.errors import NotApplicable

FACTOR = 2.0
WITH_ENERGIES = {
    name: kind for name, kind in attentions.items() if issubclass(kind.Options, ScoreOptions)
}
CASES: list[tuple[str, dict[str, Any], Slot]] = [
    *((name, {}, "cross") for name, kind in WITH_ENERGIES.items() if kind.normalises),
    ("soft", {"normaliser": "sparsemax"}, "cross"),
    ("soft", {"normaliser": "constrained-softmax"}, "cross"),
    ("global", {"sink": True, "heads": 2}, "cross"),
    ("local-m", {"window": 1}, "cross"),
    ("nystrom", {"landmarks": 2}, "encoder"),
    ("self", {}, "decoder"),
    ("self", {"relative_positions": "shaw"}, "encoder"),
    ("self", {"relative_positions": "t5"}, "encoder"),
    ("self", {"relative_positions": "rope"}, "decoder"),
]


def multiply_energies(module: ScoredAttention) -> None:
    """Multiply what every score of a mechanism returns."""

    def multiplied(plain: Callable[..., Tensor]) -> Callable[..., Tensor]:
        return lambda *inputs: FACTOR * plain(*inputs)

    if module.positions is not None:
        module.positions.energies = multiplied(module.positions.energies)
        return
    for part in module.modules():
        if isinstance(part, Score):
            part.forward = multiplied(part.forward)


def attend(
    module: ScoredAttention, memory: Memory, *, need_weights: bool = True
) -> AttentionOutput:
    keys = module.prepare(memory)
    return module(memory.states, keys, module.initial_state(keys), need_weights=need_weights)


@pytest.mark.parametrize(("attention", "options", "slot"), CASES)
def test_it_multiplies_the_energies_of_every_score(
    attention: str, options: dict[str, Any], slot: Slot
) -> None:
    kind, sizes = attentions.get(attention), Sizes(4, 4, heads=2, slot=slot)
    plain, scaled = (
        build_attention(attention, sizes, options=kind.Options(**options, **more)).double().eval()
        for more in ({}, {"energy_factor": FACTOR})
    )
    scaled.load_state_dict(plain.state_dict())
    states = torch.randn(2, 9, 4, dtype=torch.float64)
    memory = Memory(states, torch.arange(9) < torch.tensor([[9], [4]]), states[:, 0])
    found, unscaled = attend(scaled, memory), attend(plain, memory)
    fused = attend(scaled, memory, need_weights=False)
    assert isinstance(plain, ScoredAttention)
    multiply_energies(plain)
    expected = attend(plain, memory)
    real = memory.mask
    torch.testing.assert_close(found.weights[real], expected.weights[real])
    torch.testing.assert_close(found.context[real], expected.context[real])
    torch.testing.assert_close(fused.context[real], expected.context[real])
    if attention != "hard":  # which looks at the largest, at test
        assert not torch.equal(found.context, unscaled.context)


@pytest.mark.parametrize(
    "attention", [name for name, kind in WITH_ENERGIES.items() if not kind.normalises]
)
def test_what_normalises_no_energies_refuses_it(attention: str) -> None:
    options = attentions.get(attention).Options(energy_factor=FACTOR)
    with pytest.raises(NotApplicable, match="before a normaliser, and it has none"):
        build_attention(attention, Sizes(4, 4), options=options)

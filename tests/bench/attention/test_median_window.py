"""The window around the median of the previous weights (Chorowski 2015), against loops."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench.attention.attention import WindowedOptions, build_attention
from bench.attention.base import Attention, AttentionOutput, AttentionState, Keys, Memory, Sizes
from bench.attention.conformance import check_mechanism
from bench.attention.registries import attentions

SIZE = 4
Make = Callable[..., Memory]
WINDOWED = [name for name, kind in attentions.items() if issubclass(kind.Options, WindowedOptions)]


def made(name: str, score: str, width: int) -> Attention:
    torch.manual_seed(2)
    kind = attentions.get(name)
    options = kind.Options(test_window=width)  # type: ignore[call-arg]
    return build_attention(name, Sizes(SIZE, SIZE), score, options).double().eval()


def attend(module: Attention, query: Tensor, keys: Keys, state: AttentionState) -> AttentionOutput:
    result: AttentionOutput = module(query, keys, state, need_weights=True)
    return result


def test_soft_hard_and_global_have_it() -> None:
    assert {"global", "hard", "soft"} <= set(WINDOWED)


@pytest.mark.parametrize("name", WINDOWED)
@pytest.mark.parametrize("score", ["concat", "location-aware"])
def test_weights_are_those_inside_the_window_normalised(
    name: str, score: str, make_memory: Make
) -> None:
    memory = make_memory([9, 5, 1], SIZE)
    module, free = made(name, score, 2), made(name, score, 0)
    free.load_state_dict(module.state_dict())
    keys = module.prepare(memory)
    query = torch.randn(3, 1, SIZE, dtype=torch.float64)
    previous = torch.zeros(3, 1, 9, dtype=torch.float64)
    previous[0, 0] = torch.tensor([0.1, 0, 0, 0.1, 0.2, 0.2, 0, 0, 0.4])  # half is reached at 5
    previous[1, 0, 4] = previous[2, 0, 0] = 1.0
    state = AttentionState(1, {**module.initial_state(keys).tensors, "previous": previous})
    weights = attend(module, query, keys, state).weights
    everywhere = attend(free, query, free.prepare(memory), state).weights
    assert weights is not None and everywhere is not None
    for row, (low, high) in enumerate([(3, 7), (2, 4), (0, 0)]):
        assert (weights[row, 0, :low] == 0).all() and (weights[row, 0, high + 1 :] == 0).all()
        inside = everywhere[row, 0, low : high + 1]
        # `hard` takes the arg max, which may lie outside; the sentinel's share grows.
        if name not in ("hard", "sentinel"):
            torch.testing.assert_close(weights[row, 0, low : high + 1], inside / inside.sum())
    if module.weights_kind == "distribution":
        torch.testing.assert_close(weights.sum(-1), torch.ones(3, 1, dtype=torch.float64))


def test_the_first_window_lies_around_the_first_position(make_memory: Make) -> None:
    memory = make_memory([9, 5], SIZE)
    module = made("global", "dot", 3)
    keys = module.prepare(memory)
    query = torch.randn(2, 1, SIZE, dtype=torch.float64)
    weights = attend(module, query, keys, module.initial_state(keys)).weights
    assert weights is not None
    assert (weights[:, 0, :4] > 0).all() and (weights[:, 0, 4:] == 0).all()


def test_training_looks_everywhere_and_at_once(make_memory: Make) -> None:
    memory = make_memory([9, 5], SIZE)
    module, free = made("global", "general", 1).train(), made("global", "general", 0)
    free.load_state_dict(module.state_dict())
    query = torch.randn(2, 6, SIZE, dtype=torch.float64)
    keys, free_keys = module.prepare(memory), free.prepare(memory)
    expected = attend(free, query, free_keys, free.initial_state(free_keys)).weights
    assert expected is not None
    torch.testing.assert_close(
        attend(module, query, keys, module.initial_state(keys)).weights, expected
    )
    module.eval()
    windowed = attend(module, query, keys, module.initial_state(keys)).weights
    assert windowed is not None and (windowed == 0).sum() > (expected == 0).sum()


@pytest.mark.parametrize("name", WINDOWED)
def test_it_conforms(name: str) -> None:
    kind = attentions.get(name)
    options = kind.Options(test_window=1)  # type: ignore[call-arg]
    for score in ("concat", "location-aware"):
        failed = [one for one in check_mechanism(kind, score, options=options) if not one.passed]
        assert not failed, failed

"""Rows taken from a memory: the same gradients as autograd's own, in one table for all steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from bench.attention import windows as gathering
from bench.attention.attention import build_attention
from bench.attention.base import Keys, Memory, Sizes
from bench.attention.mechanisms import local_m as local_module
from bench.attention.mechanisms.local_m import LocalAttention, LocalOptions
from bench.attention.mechanisms.local_p import PredictiveOptions
from bench.attention.windows import PooledKeys

SIZE, STEPS = 4, 5
Make = Callable[..., Memory]


def make(name: str, score: str = "concat") -> LocalAttention:
    options = LocalOptions if name == "local-m" else PredictiveOptions
    module = build_attention(name, Sizes(SIZE, SIZE), score, options(window=1)).double()
    assert isinstance(module, LocalAttention)
    return module


def memory_of(given: Memory) -> Memory:
    return Memory(given.states.requires_grad_(), given.mask, given.summary)


def contexts(module: LocalAttention, query: Tensor, keys: Keys, at_once: bool) -> Tensor:
    state = module.initial_state(keys)
    made = []
    for part in query.split(STEPS if at_once else 1, dim=1):
        attended = module(part, keys, state, need_weights=False)
        made.append(attended.context)
        state = attended.state
    return torch.cat(made, 1)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("score", ["concat", "dot", "general"])
@pytest.mark.parametrize("name", ["local-m", "local-p"])
def test_gradients_are_those_of_autograd(
    make_memory: Make, monkeypatch: pytest.MonkeyPatch, name: str, score: str, at_once: bool
) -> None:
    monkeypatch.setattr(local_module, "GATHER_FROM_PRODUCT", 2)
    module = make(name, score)
    memory = memory_of(make_memory([30, 17, 1], SIZE))
    query = torch.randn(3, STEPS, SIZE, dtype=torch.float64, requires_grad=True)

    def run(kind: type[Keys]) -> tuple[Tensor, ...]:
        keys = module.prepare(memory)
        assert type(keys) is kind
        loss = contexts(module, query, keys, at_once).sin().sum()
        wanted = [memory.states, query, *module.parameters()]
        first = torch.autograd.grad(loss, wanted, retain_graph=True)
        torch.autograd.grad(loss, [query], retain_graph=True)  # leaves nothing behind
        for one, other in zip(first, torch.autograd.grad(loss, wanted), strict=True):
            assert torch.equal(one, other), "a second pass begins anew"
        return first

    collected = run(PooledKeys)
    monkeypatch.setattr(local_module, "pooled", lambda keys, *names: keys)
    for one, other in zip(collected, run(Keys), strict=True):
        torch.testing.assert_close(one, other)


def test_all_steps_share_one_table(make_memory: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    tables: list[torch.Size] = []
    zeros = torch.zeros_like

    def counted(tensor: Tensor) -> Tensor:
        tables.append(tensor.shape)
        return zeros(tensor)

    monkeypatch.setattr(gathering.torch, "zeros_like", counted)
    module, memory = make("local-m"), memory_of(make_memory([30, 17], SIZE))
    query = torch.randn(2, STEPS, SIZE, dtype=torch.float64)
    contexts(module, query, module.prepare(memory), at_once=False).sum().backward()
    assert tables == [torch.Size([2 * 30, SIZE])] * 2, "one for keys, one for values"


def test_a_selection_of_the_batch_has_gradients_too(make_memory: Make) -> None:
    module, memory = make("local-m"), memory_of(make_memory([30, 17], SIZE))
    query = torch.randn(2, STEPS, SIZE, dtype=torch.float64)
    keys = module.prepare(memory)
    swapped = keys.select(torch.tensor([1, 0]))
    contexts(module, query.flip(0), swapped, at_once=True).sum().backward(retain_graph=True)
    found = memory.states.grad
    memory.states.grad = None
    contexts(module, query, keys, at_once=True).sum().backward()
    torch.testing.assert_close(found, memory.states.grad)


def test_without_gradients_nothing_is_collected(make_memory: Make) -> None:
    module, memory = make("local-m"), make_memory([30, 17], SIZE)
    with torch.no_grad():
        assert type(module.prepare(memory)) is Keys
    pools = module.prepare(memory).pools
    assert set(pools) == {"keys"}, "values need gradients only where the memory does"


def test_twice_is_refused(make_memory: Make) -> None:
    module, memory = make("local-m"), memory_of(make_memory([30], SIZE))
    query = torch.randn(1, 2, SIZE, dtype=torch.float64)
    loss = contexts(module, query, module.prepare(memory), at_once=True).sin().sum()
    (gradient,) = torch.autograd.grad(loss, [memory.states], create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()

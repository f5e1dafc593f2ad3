"""`linear` against Katharopoulos 2020 written out with loops, and its recurrence."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.attention.attention import build_attention
from bench.attention.base import AttentionState, Memory, Sizes, Slot
from bench.attention.mechanisms.linear import CHUNK, KernelAttention, RunningKeys
from bench.attention.registries import attentions

SIZE, HEADS = 8, 2
Make = Callable[..., Memory]


def build(slot: Slot, name: str = "linear") -> KernelAttention:
    module = build_attention(name, Sizes(SIZE, SIZE, heads=HEADS, slot=slot))
    assert isinstance(module, KernelAttention)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.5)
    return module.double()


def phi(x: float) -> float:
    return x + 1 if x > 0 else math.exp(x)


def by_hand(module: KernelAttention, asking: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
    """Contexts T,Q and weights T,S of queries T,Q over states S,D, equations 5 and 9."""
    size = SIZE // HEADS
    queries = module.query_projection(asking).tolist()
    keys = module.key_projection(states).tolist()
    values = module.value_projection(states).tolist()
    contexts = torch.zeros(len(asking), SIZE).double()
    means = torch.zeros(len(asking), len(states)).double()
    for t, query in enumerate(queries):
        for h in range(HEADS):
            part = range(h * size, (h + 1) * size)
            seen = range(t + 1 if module.causal else len(states))
            likeness = [sum(phi(query[i]) * phi(keys[s][i]) for i in part) for s in seen]
            for s in seen:
                weight = likeness[s] / sum(likeness)
                means[t, s] += weight / HEADS
                for i in part:
                    contexts[t, i] += weight * values[s][i]
    return module.output_projection(contexts), means


@pytest.mark.parametrize("slot", ["cross", "encoder", "decoder"])
@torch.no_grad()
def test_contexts_and_weights_are_the_papers(slot: Slot, make_memory: Make) -> None:
    memory = make_memory([6, 4], SIZE)
    module = build(slot)
    query = memory.states if slot != "cross" else torch.randn(2, 3, SIZE, dtype=torch.float64)
    keys = module.prepare(memory)
    for need_weights in (True, False):
        found = module(query, keys, AttentionState(), need_weights=need_weights)
        for example, length in enumerate((6, 4)):
            asking = query[example, :length]
            context, weights = by_hand(module, asking, memory.states[example, :length])
            torch.testing.assert_close(found.context[example, : len(asking)], context)
            if need_weights:
                assert found.weights is not None
                real = found.weights[example, : len(asking), :length]
                torch.testing.assert_close(real, weights)


@pytest.mark.parametrize("name", ["linear", "performer"])
@pytest.mark.parametrize("length", [CHUNK - 1, CHUNK, 2 * CHUNK + 5])
def test_chunks_are_the_pairs(length: int, name: str) -> None:
    module = build("decoder", name)
    states = torch.randn(2, length, SIZE, dtype=torch.float64)
    keys = module.extend(None, states)
    by_pairs = module(states, keys, AttentionState())
    by_sums = module(states, keys, AttentionState(), need_weights=False)
    torch.testing.assert_close(by_sums.context, by_pairs.context)
    # Queries from the middle on.
    rest = module(states[:, 20:], keys, AttentionState(20), need_weights=False)
    torch.testing.assert_close(rest.context, by_pairs.context[:, 20:])


@pytest.mark.parametrize("name", ["linear", "performer"])
@pytest.mark.parametrize("steps", [[1] * 7, [3, 1, 3], [2, 5]])
def test_the_recurrence_is_the_causal_pass_and_holds_no_past(name: str, steps: list[int]) -> None:
    module = build("decoder", name)
    states = torch.randn(3, 7, SIZE, dtype=torch.float64)
    whole = module(states, module.extend(None, states), AttentionState())
    keys, state, found = None, AttentionState(), []
    for step in states.split(steps, 1):
        keys = module.extend(keys, step)
        out = module(step, keys, state, need_weights=len(found) % 2 == 0)
        found.append(out.context)
        state = out.state
        assert keys.tensors["keys"].shape[2] == step.shape[1]
        assert (out.weights is None) == ("sums" in keys.tensors or len(found) % 2 == 0)
    torch.testing.assert_close(torch.cat(found, 1), whole.context)


def test_beams_are_selected_with_their_sums() -> None:
    module = build("decoder")
    states = torch.randn(3, 5, SIZE, dtype=torch.float64)
    index = torch.tensor([2, 0, 0])
    keys = module.extend(module.extend(None, states[:, :3]), states[:, 3:4])
    assert isinstance(keys.select(index), RunningKeys)
    chosen = module.extend(keys.select(index), states[index, 4:])
    found = module(states[index, 4:], chosen, AttentionState(4), need_weights=False)
    whole = module(states, module.extend(None, states), AttentionState())
    torch.testing.assert_close(found.context[:, 0], whole.context[index, 4])


def test_scores_that_change_nothing_are_refused() -> None:
    kind = attentions.get("linear")
    assert kind.refusal("dot", "transformer") is None
    assert "cancels" in kind.refusal("scaled-dot", "transformer")
    assert "inner products" in kind.refusal("concat", "transformer")

"""Windows against Luong 2015 written out with loops; sentence ends and pictures included."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from bench.attention.attention import build_attention
from bench.attention.base import (
    Attention,
    AttentionOutput,
    AttentionState,
    Memory,
    Sizes,
    Slot,
    lengths_to_mask,
)
from bench.attention.mechanisms.local_m import LocalAttention, LocalOptions
from bench.attention.mechanisms.local_p import PredictiveOptions
from bench.attention.registries import attentions
from bench.attention.windows import MonotonicWindow, PredictiveWindow

SIZE = 4
Make = Callable[..., Memory]


def attend(
    module: Attention, query: Tensor, memory: Memory, position: int = 0, need_weights: bool = True
) -> AttentionOutput:
    keys = module.prepare(memory)
    state = AttentionState(position, module.initial_state(keys).tensors)
    result: AttentionOutput = module(query, keys, state, need_weights=need_weights)
    return result


def general_weights(
    module: LocalAttention, query: Tensor, memory: Memory, inside: Tensor
) -> Tensor:
    """B,T,S: the softmax of h W s over the positions inside, written out."""
    W = module.score.matrix.weight[0]
    weights = torch.zeros(inside.shape, dtype=torch.float64)
    for b, t in torch.cartesian_prod(torch.arange(len(query)), torch.arange(query.shape[1])):
        open_ = inside[b, t].nonzero().flatten()
        energies = torch.stack([query[b, t] @ W @ memory.states[b, s] for s in open_])
        weights[b, t, open_] = energies.softmax(0)
    return weights


@pytest.mark.parametrize("ratio", [0.3, 0.79, 0.8, 1.0, 1.25, 1.26, 2.6])
@pytest.mark.parametrize("width", [1, 3])
def test_local_m_walks_with_the_step(make_memory: Make, ratio: float, width: int) -> None:
    memory = make_memory([9, 5, 1], SIZE)
    options = LocalOptions(window=width)
    module = build_attention("local-m", Sizes(SIZE, SIZE, ratio), "general", options).double()
    query = torch.randn(3, 12, SIZE, dtype=torch.float64)
    inside = torch.zeros(3, 12, 9, dtype=torch.bool)
    for b, length in enumerate([9, 5, 1]):
        for t in range(12):
            step = t if 0.8 <= ratio <= 1.25 else t * ratio
            centre = min(step, length - 1)
            for s in range(length):
                inside[b, t, s] = centre - width <= s <= centre + width
    expected = general_weights(module, query, memory, inside)
    torch.testing.assert_close(attend(module, query, memory).weights, expected)


@pytest.mark.parametrize("renormalise", [True, False])
@pytest.mark.parametrize("width", [1, 2, 5])
def test_local_p_is_equations_9_and_10(make_memory: Make, width: int, renormalise: bool) -> None:
    lengths = [9, 4, 1]
    memory = make_memory(lengths, SIZE)
    options = PredictiveOptions(window=width, renormalise=renormalise)
    module = build_attention("local-p", Sizes(SIZE, SIZE), "general", options).double()
    with torch.no_grad():
        module.window.point.weight.mul_(8)  # predictions all over, both sentence ends included
    query = 3 * torch.randn(3, 20, SIZE, dtype=torch.float64)
    centre = torch.zeros(3, 20, dtype=torch.float64)
    inside = torch.zeros(3, 20, 9, dtype=torch.bool)
    gain = torch.zeros(3, 20, 9, dtype=torch.float64)
    for b, length in enumerate(lengths):
        for t in range(20):
            hidden = torch.tanh(module.window.hidden.weight @ query[b, t])
            centre[b, t] = length * torch.sigmoid(module.window.point.weight[0] @ hidden)
            for s in range(length):
                distance = s - centre[b, t].item()
                inside[b, t, s] = abs(distance) <= width
                gain[b, t, s] = math.exp(-(distance**2) / (2 * (width / 2) ** 2))
    assert centre[0].min() < 1 and centre[0].max() > 8, "both ends of the sentence are tried"
    expected = general_weights(module, query, memory, inside) * gain
    sums = expected.sum(-1, keepdim=True)
    if renormalise:
        expected = expected / sums
    else:
        assert (sums < 1).all(), "equation 10 as printed loses mass"
    torch.testing.assert_close(attend(module, query, memory).weights, expected)


@settings(deadline=None, max_examples=60)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    width=st.integers(1, 4),
    ratio=st.floats(0.05, 20.0),
    position=st.integers(0, 40),
    seed=st.integers(0, 99),
)
def test_no_window_is_empty(
    lengths: list[int], width: int, ratio: float, position: int, seed: int
) -> None:
    torch.manual_seed(seed)
    S = max(lengths)
    mask = lengths_to_mask(torch.tensor(lengths), S)
    memory = Memory(torch.randn(len(lengths), S, SIZE), mask, torch.randn(len(lengths), SIZE))
    query = 30 * torch.randn(len(lengths), 3, SIZE)  # saturates the sigmoid
    for name in ("local-m", "local-p"):
        options = LocalOptions if name == "local-m" else PredictiveOptions
        sizes = Sizes(SIZE, SIZE, ratio)
        module = build_attention(name, sizes, "dot", options(window=width))
        weights = attend(module, query, memory, position).weights
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:2]))
        assert (weights.masked_select(~mask[:, None]) == 0).all()


@pytest.mark.parametrize("score", ["concat", "general"])
@pytest.mark.parametrize("name", ["local-m", "local-p"])
@pytest.mark.parametrize("ratio", [1.0, 2.7])
def test_gathering_the_near_keys_changes_nothing(
    make_memory: Make, monkeypatch: pytest.MonkeyPatch, name: str, score: str, ratio: float
) -> None:
    memory = make_memory([40, 17, 1], SIZE)
    kind = LocalOptions if name == "local-m" else PredictiveOptions
    module = build_attention(name, Sizes(SIZE, SIZE, ratio), score, kind(window=2)).double()
    query = torch.randn(3, 6, SIZE, dtype=torch.float64, requires_grad=True)

    def run(pays: bool) -> list[Tensor]:
        monkeypatch.setattr(LocalAttention, "_gathering_pays", lambda self, keys: pays)
        result = attend(module, query, memory, position=9)
        bare = attend(module, query, memory, position=9, need_weights=False)
        torch.testing.assert_close(bare.context, result.context)
        assert bare.weights is None
        inputs = [query, *module.parameters()]
        gradients = torch.autograd.grad(result.context.sin().sum(), inputs)
        return [result.context, result.weights, *gradients]

    for everywhere, nearby in zip(run(False), run(True), strict=True):
        torch.testing.assert_close(everywhere, nearby)


def test_gathering_is_for_long_sources_and_costly_scores(make_memory: Make) -> None:
    def pays(score: str, length: int, **fields: object) -> bool:
        module = build_attention("local-m", Sizes(SIZE, SIZE), score, LocalOptions(window=2))
        return module._gathering_pays(module.double().prepare(make_memory([length], **fields)))

    assert pays("concat", 10) and not pays("concat", 9)
    assert pays("dot", 80) and not pays("dot", 79)
    assert not pays("location-aware", 100), "it needs the weights of all positions"
    assert not pays("concat", 100, grid=(10, 10)), "a picture's window is no run of positions"


def grid_memory(rows: int, columns: int, batch: int = 2) -> Memory:
    cells = rows * columns
    states = torch.randn(batch, cells, SIZE, dtype=torch.float64)
    mask = torch.ones(batch, cells, dtype=torch.bool)
    return Memory(states, mask, states.mean(1), grid=(rows, columns))


def test_local_m_walks_over_a_picture_row_by_row() -> None:
    rows, columns, width, ratio = 4, 6, 1, 3.0
    memory = grid_memory(rows, columns)
    options = LocalOptions(window=width)
    module = build_attention("local-m", Sizes(SIZE, SIZE, ratio), "general", options).double()
    query = torch.randn(2, 10, SIZE, dtype=torch.float64)
    inside = torch.zeros(2, 10, rows * columns, dtype=torch.bool)
    for t in range(10):
        centre = divmod(min(3 * t, rows * columns - 1), columns)
        for row in range(rows):
            for column in range(columns):
                near = abs(row - centre[0]) <= width and abs(column - centre[1]) <= width
                inside[:, t, row * columns + column] = near
    expected = general_weights(module, query, memory, inside)
    torch.testing.assert_close(attend(module, query, memory).weights, expected)


def test_local_p_predicts_a_point_of_a_picture() -> None:
    rows, columns, width = 4, 7, 2
    memory = grid_memory(rows, columns)
    options = PredictiveOptions(window=width)
    module = build_attention("local-p", Sizes(SIZE, SIZE, axes=2), "general", options).double()
    query = 4 * torch.randn(2, 12, SIZE, dtype=torch.float64)
    inside = torch.zeros(2, 12, rows * columns, dtype=torch.bool)
    gain = torch.zeros(2, 12, rows * columns, dtype=torch.float64)
    for b in range(2):
        for t in range(12):
            hidden = torch.tanh(module.window.hidden.weight @ query[b, t])
            share = torch.sigmoid(module.window.point.weight @ hidden)
            at = (rows * share[0].item(), columns * share[1].item())
            for s in range(rows * columns):
                off = (s // columns - at[0], s % columns - at[1])
                inside[b, t, s] = max(abs(off[0]), abs(off[1])) <= width
                squares = off[0] ** 2 + off[1] ** 2
                gain[b, t, s] = math.exp(-squares / (2 * (width / 2) ** 2))
    expected = general_weights(module, query, memory, inside) * gain
    expected = expected / expected.sum(-1, keepdim=True)
    torch.testing.assert_close(attend(module, query, memory).weights, expected)


@pytest.mark.parametrize("name", ["local-m", "local-p"])
def test_stepping_over_a_picture_equals_the_parallel_pass(name: str) -> None:
    memory = grid_memory(3, 5)
    kind = LocalOptions if name == "local-m" else PredictiveOptions
    sizes = Sizes(SIZE, SIZE, length_ratio=2.0, axes=2)
    module = build_attention(name, sizes, "concat", kind(window=1)).double()
    query = torch.randn(2, 7, SIZE, dtype=torch.float64)
    whole = attend(module, query, memory).weights
    steps = [attend(module, query[:, t : t + 1], memory, t).weights for t in range(7)]
    torch.testing.assert_close(whole, torch.cat(steps, 1))


def test_a_window_of_one_axis_refuses_a_picture() -> None:
    module = build_attention("local-p", Sizes(SIZE, SIZE), "dot").double()
    with pytest.raises(AssertionError, match="axes is 1, the memory has 2"):
        attend(module, torch.randn(2, 1, SIZE, dtype=torch.float64), grid_memory(2, 3))


def test_positions_are_counted_among_the_real_ones() -> None:
    """A mask with holes: the centre t is the t-th real position, not position t."""
    mask = torch.tensor([[True, False, True, False, True, True]])
    memory = Memory(torch.randn(1, 6, SIZE), mask, torch.randn(1, SIZE))
    for score in ("dot", "concat"):
        module = build_attention("local-m", Sizes(SIZE, SIZE), score, LocalOptions(window=1))
        weights = attend(module, torch.randn(1, 4, SIZE), memory).weights[0]
        expected = [[0, 2], [0, 2, 4], [2, 4, 5], [4, 5]]
        assert [row.nonzero().flatten().tolist() for row in weights] == expected


def test_positions_past_256_are_exact_in_bfloat16() -> None:
    mask = torch.ones(1, 600, dtype=torch.bool)
    memory = Memory(torch.randn(1, 600, SIZE), mask, torch.randn(1, SIZE))
    memory = Memory(memory.states.bfloat16(), mask, memory.summary.bfloat16())
    options = LocalOptions(window=1)
    module = build_attention("local-m", Sizes(SIZE, SIZE), "dot", options).bfloat16()
    query = torch.zeros(1, 2, SIZE, dtype=torch.bfloat16)
    weights = attend(module, query, memory, position=513).weights[0]
    assert [row.nonzero().flatten().tolist() for row in weights] == [
        [512, 513, 514],
        [513, 514, 515],
    ]


def test_a_width_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 1"):
        LocalOptions(window=0)
    with pytest.raises(AssertionError):
        MonotonicWindow(0, 1.0)
    with pytest.raises(AssertionError):
        PredictiveWindow(SIZE, 0)


@pytest.mark.parametrize("slot", ["encoder", "decoder"])
@pytest.mark.parametrize("count", [0, 2])
def test_a_sliding_window_is_torchs_attention_under_its_mask(slot: Slot, count: int) -> None:
    """Beltagy 2020: each position sees w on either side; some see all and are seen by all."""
    options = attentions.get("self").Options(window=2, global_positions=count)
    ours = build_attention("self", Sizes(8, 8, heads=2, slot=slot), options=options).double()
    theirs = nn.MultiheadAttention(8, 2, batch_first=True, dtype=torch.float64)
    projections = [ours.query_projection, ours.key_projection, ours.value_projection]
    theirs.in_proj_weight.data = torch.cat([one.weight.data for one in projections])
    theirs.out_proj.load_state_dict(ours.output_projection.state_dict())
    hidden = torch.ones(9, 9, dtype=torch.bool)
    for t in range(9):
        for s in range(9):
            near = abs(s - t) <= 2 or s < count or t < count
            hidden[t, s] = not near or (slot == "decoder" and s > t)
    states = torch.randn(3, 9, 8, dtype=torch.float64)
    context, weights = theirs(states, states, states, attn_mask=hidden)
    memory = Memory(states, torch.ones(3, 9, dtype=torch.bool), states[:, 0])
    keys = ours.prepare(memory)
    for need_weights in (True, False):
        found = ours(states, keys, AttentionState(), need_weights=need_weights)
        torch.testing.assert_close(found.context, context)
    torch.testing.assert_close(ours(states, keys, AttentionState()).weights, weights)
    if slot == "decoder":  # keys that grow
        keys = None
        for t, step in enumerate(states.split(1, 1)):
            keys = ours.extend(keys, step)
            found = ours(step, keys, AttentionState(t), need_weights=False)
            torch.testing.assert_close(found.context[:, 0], context[:, t])


def test_global_positions_come_with_a_window() -> None:
    with pytest.raises(ValueError, match="give a window as well"):
        attentions.get("self").Options(global_positions=1)

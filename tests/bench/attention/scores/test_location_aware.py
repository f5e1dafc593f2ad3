"""The scores that convolve weights of earlier steps: what each of them reads after several steps,
written out with loops in float64, and torch's convolutions and LSTM beside them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from bench.attention.attention import ScoredOptions, build_attention
from bench.attention.base import Memory, Score, Sizes
from bench.attention.mechanisms.hierarchical import HierarchicalOptions
from bench.attention.registries import attentions, scores

B, T, S, SIZE = 2, 4, 6, 4
MASK = torch.arange(S) < torch.tensor([[S], [3]])


def build(name: str, heads: int = 1, **options: Any) -> Score:
    chosen = ScoredOptions(location_filters=3, location_kernel=3, **options)
    return scores.get(name).build(SIZE, SIZE, heads, chosen).double()


def hidden(score: Any, query: Tensor, keys: Tensor, located: Tensor) -> Tensor:
    """Energies B,S of one head with the location term located, B,S,A or B,1,A."""
    layer = score.query(query)[:, 0] + score.key(keys)[:, 0] + located
    return layer.tanh() @ score.vector[0]


def weights_of_steps(heads: int) -> list[Tensor]:
    return [
        torch.rand(B, heads, S, dtype=torch.float64).masked_fill(~MASK[:, None], 0.0)
        for _ in range(T)
    ]


def test_two_dimensional_filters_are_torchs_over_the_last_steps() -> None:
    score = build("location-aware-2d", location_steps=3)
    steps = weights_of_steps(1)
    kept = score.keep(None, steps[0], MASK)
    assert kept.shape == (B, 1, 3, S) and (kept == steps[0][:, :, None]).all()
    for weights in steps[1:]:
        kept = score.keep(kept, weights, MASK)
    last = torch.stack(steps[-3:], 2)  # B,1,3,S, the latest below
    torch.testing.assert_close(kept, last)
    convolution = nn.Conv2d(1, 3, (3, 3), padding=(0, 1), bias=False).double()
    convolution.weight.data = score.convolution.weight.detach()[:, None]  # F,1,steps,width
    features = convolution(last)[:, :, 0].transpose(1, 2)  # B,S,F
    query = torch.randn(B, 1, SIZE, dtype=torch.float64)
    keys = torch.randn(B, S, SIZE, dtype=torch.float64)
    found = score(query, score.project_keys(keys), {"kept": kept})
    expected = hidden(score, query, keys, score.location(features))
    torch.testing.assert_close(found[:, 0, 0], expected)


def test_of_one_step_two_dimensional_filters_are_those_of_location_aware() -> None:
    one, plain = build("location-aware-2d", location_steps=1), build("location-aware")
    plain.load_state_dict(one.state_dict())
    weights = weights_of_steps(1)[0]
    query = torch.randn(B, 1, SIZE, dtype=torch.float64)
    projected = one.project_keys(torch.randn(B, S, SIZE, dtype=torch.float64))
    found = one(query, projected, {"kept": one.keep(None, weights, MASK)})
    assert torch.equal(found, plain(query, projected, {"previous": weights}))


@pytest.mark.parametrize("heads", [1, 2])
def test_the_recurrent_state_is_that_of_an_lstm_over_the_greatest_features(heads: int) -> None:
    score = build("location-aware-recurrent", heads)
    steps = weights_of_steps(heads)
    kept = None
    for weights in steps:
        kept = score.keep(kept, weights, MASK)
    assert kept is not None
    filters, cell = score.convolution.weight[:, 0], score.cell
    A = cell.hidden_size
    for b, real in enumerate((S, 3)):
        for head in range(heads):
            h, c = torch.zeros(A).double(), torch.zeros(A).double()
            for weights in steps:
                row = weights[b, head]
                f = torch.zeros(3, dtype=torch.float64)
                for place in range(real):
                    around = [
                        row[place + k - 1] if 0 <= place + k - 1 < S else row[0] * 0
                        for k in range(3)
                    ]
                    value = torch.stack([sum(F[k] * around[k] for k in range(3)) for F in filters])
                    f = torch.maximum(f, value)  # relu and greatest in one, from 0
                i, forget, g, o = (cell.weight_ih @ f + cell.weight_hh @ h).chunk(4)
                c = forget.sigmoid() * c + i.sigmoid() * g.tanh()
                h = o.sigmoid() * c.tanh()
            torch.testing.assert_close(kept[b, head], torch.stack([h, c]))


def test_the_recurrent_state_acts_on_all_positions_alike() -> None:
    score = build("location-aware-recurrent")
    query = torch.randn(B, 1, SIZE, dtype=torch.float64)
    keys = torch.randn(B, S, SIZE, dtype=torch.float64)
    kept = score.keep(None, weights_of_steps(1)[0], MASK)
    found = score(query, score.project_keys(keys), {"kept": kept})
    torch.testing.assert_close(found[:, 0, 0], hidden(score, query, keys, kept[:, :, 0]))


@pytest.mark.parametrize("heads", [1, 2])
def test_the_sum_of_all_weights_is_convolved_alone(heads: int) -> None:
    """AttCovLoc: half of what `location_cumulative` has."""
    score = build("location-aware-coverage", heads)
    assert score.reads == {"coverage"}
    coverage = torch.rand(B, heads, S, dtype=torch.float64)
    query = torch.randn(B, 1, SIZE, dtype=torch.float64)
    keys = torch.randn(B, S, SIZE, dtype=torch.float64)
    found = score(query, score.project_keys(keys), {"coverage": coverage})
    for head in range(heads):
        located = score.location(score.convolution(coverage[:, head, None]).transpose(1, 2))
        layer = score.query(query)[:, head] + score.key(keys)[:, head] + located
        torch.testing.assert_close(found[:, head, 0], layer.tanh() @ score.vector[head])


@pytest.mark.parametrize("attention", ["soft", "global", "local-p", "forward"])
def test_what_is_kept_are_the_weights_of_the_steps_made(attention: str) -> None:
    options = attentions.get(attention).Options(location_steps=2, heads=2)
    sizes = Sizes(SIZE, SIZE)
    module = build_attention(attention, sizes, "location-aware-2d", options).double()
    states = torch.randn(B, S, SIZE, dtype=torch.float64)
    keys = module.prepare(Memory(states, MASK, states[:, 0]))
    state = module.initial_state(keys)
    assert state.tensors["kept"][..., 0].eq(1).all() and state.tensors["kept"].sum() == B * 2 * 2
    found = module(torch.randn(B, T, SIZE, dtype=torch.float64), keys, state)
    assert found.weights is not None
    torch.testing.assert_close(found.state.tensors["kept"].mean(1), found.weights[:, -2:])


def test_segments_keep_weights_of_their_own() -> None:
    options = HierarchicalOptions(location_steps=2)
    module = build_attention("hierarchical", Sizes(SIZE, SIZE), "location-aware-2d", options)
    states = torch.randn(B, S, SIZE, dtype=torch.float64)
    keys = module.double().prepare(Memory(states, MASK, states[:, 0]))
    found = module(torch.randn(B, T, SIZE).double(), keys, module.initial_state(keys))
    kept = found.state.tensors["kept segments"]  # B,1,2,G
    torch.testing.assert_close(kept.sum(-1), torch.ones(B, 1, 2, dtype=torch.float64))
    assert kept.shape[-1] == 2

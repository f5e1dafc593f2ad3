"""`coverage` and the cumulative weights of `location-aware`: what is summed, and the formulas."""

from __future__ import annotations

import itertools

import pytest
import torch

from bench.attention.attention import ScoredOptions, build_attention
from bench.attention.base import Memory, Sizes
from bench.attention.mechanisms.hierarchical import HierarchicalOptions
from bench.attention.mechanisms.soft import SoftOptions
from bench.attention.registries import scores
from bench.errors import NotApplicable
from bench.models import AttentionChoice, build_decoder
from bench.models.base import ModelConfig

B, T, S, SIZE = 2, 3, 5, 4
MASK = torch.arange(S) < torch.tensor([[S], [2]])


def memory() -> Memory:
    states = torch.randn(B, S, SIZE, dtype=torch.float64)
    return Memory(states, MASK, states[:, 0])


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("attention", ["soft", "global", "local-p", "hierarchical"])
def test_coverage_is_the_sum_of_the_weights_of_all_steps(attention: str, heads: int) -> None:
    """See 2017, equation 10."""
    kind = type(build_attention(attention, Sizes(SIZE, SIZE))).Options
    module = build_attention(attention, Sizes(SIZE, SIZE), "coverage", kind(heads=heads)).double()
    keys = module.prepare(memory())
    query = torch.randn(B, T, SIZE, dtype=torch.float64)
    state = module.initial_state(keys)
    assert not state.tensors["coverage"].any()
    found = module(query, keys, state)
    coverage = found.state.tensors["coverage"]  # B,H,S
    torch.testing.assert_close(coverage.mean(1), found.weights.sum(1))
    assert "previous" not in found.state.tensors


def test_segments_have_a_coverage_of_their_own() -> None:
    module = build_attention("hierarchical", Sizes(SIZE, SIZE), "coverage", HierarchicalOptions())
    keys = module.double().prepare(memory())
    found = module(torch.randn(B, T, SIZE).double(), keys, module.initial_state(keys))
    covered = found.state.tensors["coverage segments"][:, 0]  # B,G
    torch.testing.assert_close(covered.sum(1), torch.full((B,), float(T), dtype=torch.float64))


@pytest.mark.parametrize("heads", [1, 2])
def test_fertility_divides_what_a_position_got(heads: int) -> None:
    """Tu 2016, section 3.1.1: C_j = sum of a_j / Phi_j, Phi_j = N sigmoid(U h_j)."""
    options = ScoredOptions(coverage_fertility=2.0, attention_size=3)
    score = scores.get("coverage").build(SIZE, SIZE, heads, options).double()
    query = torch.randn(B, 1, SIZE, dtype=torch.float64)
    keys = torch.randn(B, S, SIZE, dtype=torch.float64)
    coverage = torch.rand(B, heads, S, dtype=torch.float64)
    found = score(query, score.project_keys(keys), {"coverage": coverage})
    for b, head, j in itertools.product(range(B), range(heads), range(S)):
        t, s = query[b, 0].chunk(heads)[head], keys[b, j].chunk(heads)[head]
        U, u = score.expected.weight[head, 0], score.expected.bias[head, 0]
        fertility = 2.0 / (1.0 + torch.exp(-(U @ s + u)))
        hidden = score.query.weight[head] @ t + score.key.weight[head] @ s + score.key.bias[head]
        hidden = hidden + score.covered[head] * coverage[b, head, j] / fertility
        expected = score.vector[head] @ torch.tanh(hidden)
        assert found[b, head, 0, j].item() == pytest.approx(expected.item(), abs=1e-10)


@pytest.mark.parametrize("heads", [1, 2])
def test_cumulative_weights_are_a_second_channel_of_location_aware(heads: int) -> None:
    """Shen 2018, as its reimplementations have it: torch's convolution over both channels."""
    options = ScoredOptions(location_cumulative=True, location_filters=3, location_kernel=3)
    score = scores.get("location-aware").build(SIZE, SIZE, heads, options).double()
    assert score.reads == {"previous", "coverage"}
    query = torch.randn(B, 1, SIZE, dtype=torch.float64)
    keys = torch.randn(B, S, SIZE, dtype=torch.float64)
    read = {name: torch.rand(B, heads, S, dtype=torch.float64) for name in score.reads}
    found = score(query, score.project_keys(keys), read)
    for head in range(heads):
        channels = torch.stack([read["previous"][:, head], read["coverage"][:, head]], 1)  # B,2,S
        located = score.location(score.convolution(channels).transpose(1, 2))  # B,S,A
        hidden = score.query(query)[:, head] + score.key(keys)[:, head] + located
        torch.testing.assert_close(found[:, head, 0], hidden.tanh() @ score.vector[head])


def test_without_the_option_location_aware_reads_the_step_before_alone() -> None:
    score = scores.get("location-aware").build(SIZE, SIZE)
    assert score.reads == {"previous"}
    assert score.convolution.weight.shape[1] == 1


@pytest.mark.parametrize("backbone", ["transformer", "convolutional"])
def test_the_coverage_loss_takes_a_recurrent_decoder(backbone: str) -> None:
    kind = type(build_attention("soft", Sizes(SIZE, SIZE)))
    config = ModelConfig(embedding_dim=SIZE, hidden_dim=SIZE, num_heads=1)
    for loss in (0.0, 1.0):
        choice = AttentionChoice(kind, "concat", SoftOptions(coverage_loss=loss), backbone)
        if loss:
            with pytest.raises(NotApplicable, match="coverage loss"):
                build_decoder(choice, SIZE, 9, config)
        else:
            build_decoder(choice, SIZE, 9, config)

"""The Transformer against PyTorch's, and its positions."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.attention.base import Memory
from bench.attention.positions import sinusoids
from bench.errors import UsageError
from bench.models.base import ModelConfig
from bench.models.transformer import LearnedPositions, Positions


def _copy_attention(ours: nn.Module, theirs: nn.MultiheadAttention) -> None:
    mechanism = ours.attention
    projections = [
        mechanism.query_projection,
        mechanism.key_projection,
        mechanism.value_projection,
    ]
    theirs.in_proj_weight.data = torch.cat([one.weight.data for one in projections])
    theirs.in_proj_bias.data = torch.cat([one.bias.data for one in projections])
    theirs.out_proj.load_state_dict(mechanism.output_projection.state_dict())


def _copy_feed_forward(ours: nn.Module, theirs: nn.Module) -> None:
    theirs.linear1.load_state_dict(ours.inner.state_dict())
    theirs.linear2.load_state_dict(ours.outer.state_dict())


def _arguments(sizes: ModelConfig) -> dict:
    return {
        "d_model": sizes.hidden_dim,
        "nhead": sizes.num_heads,
        "dim_feedforward": sizes.ffn_dim,
        "dropout": 0.0,
        "batch_first": True,
        "norm_first": True,
        "dtype": torch.float64,
    }


def _encoded(model: nn.Module, sizes: ModelConfig, features: Tensor, mask: Tensor) -> Tensor:
    states = model.enter_norm(model.enter(features))
    states = states + sinusoids(0, states.shape[1], states)
    for attend, feed in zip(model.attend, model.feed, strict=True):
        layer = nn.TransformerEncoderLayer(**_arguments(sizes))
        _copy_attention(attend, layer.self_attn)
        _copy_feed_forward(feed, layer)
        layer.norm1.load_state_dict(attend.norm.state_dict())
        layer.norm2.load_state_dict(feed.norm.state_dict())
        states = layer(states, src_key_padding_mask=~mask)
    return model.norm(states)


@pytest.mark.parametrize("embedding", [6, 8])
def test_encoder_and_decoder_equal_those_of_pytorch(
    embedding: int, sizes: ModelConfig, make_model: Callable, make_batch: Callable
) -> None:
    encoder, decoder = make_model("self", "scaled-dot", embedding_dim=embedding)
    features, mask, tokens = make_batch([6, 1, 4])
    memory = encoder(features, mask)
    expected = _encoded(encoder, sizes, features, mask)
    torch.testing.assert_close(memory.states[mask], expected[mask])

    states = decoder.enter(decoder.embedding(tokens) * embedding**0.5)
    states = states + sinusoids(0, states.shape[1], states)
    causal = nn.Transformer.generate_square_subsequent_mask(states.shape[1], dtype=torch.float64)
    for back, attend, feed in zip(decoder.look_back, decoder.attend, decoder.feed, strict=True):
        layer = nn.TransformerDecoderLayer(**_arguments(sizes))
        _copy_attention(back, layer.self_attn)
        _copy_attention(attend, layer.multihead_attn)
        _copy_feed_forward(feed, layer)
        for norm, block in ((layer.norm1, back), (layer.norm2, attend), (layer.norm3, feed)):
            norm.load_state_dict(block.norm.state_dict())
        states = layer(states, memory.states, tgt_mask=causal, memory_key_padding_mask=~mask)
    hidden = decoder.norm(states)
    decoded = decoder(tokens, memory)
    torch.testing.assert_close(decoded.hidden, hidden)
    torch.testing.assert_close(decoded.features, decoder.leave(hidden))
    assert isinstance(decoder.leave, nn.Identity) is (embedding == sizes.hidden_dim)


def test_sinusoids_by_hand() -> None:
    table = sinusoids(3, 2, torch.zeros(1, 4, dtype=torch.float64))
    expected = [[math.sin(p), math.sin(p * 1e-4), math.cos(p), math.cos(p * 1e-4)] for p in (3, 4)]
    torch.testing.assert_close(table, torch.tensor(expected).double(), atol=1e-6, rtol=0)


def test_a_step_gets_the_row_of_the_whole_and_positions_differ() -> None:
    like = torch.zeros(1, 7)
    whole = sinusoids(0, 50, like)
    assert whole.shape == (50, 7)
    torch.testing.assert_close(sinusoids(31, 1, like), whole[31:32])
    distances = torch.cdist(whole, whole) + torch.eye(50)
    assert distances.min() > 0.1


def test_a_position_that_was_never_learned_is_refused() -> None:
    positions = LearnedPositions(5, 4)
    torch.testing.assert_close(positions(3, 2), positions.table.weight[3:5])
    with pytest.raises(UsageError, match=r"6 units has only 5 learned positions.*max_positions"):
        positions(3, 3)


def test_a_transformer_adds_the_positions_that_its_sizes_ask_for() -> None:
    states = torch.randn(2, 3, 4)
    for kind in ("sinusoids", "learned"):
        positions = Positions(ModelConfig(hidden_dim=4, positional_encoding=kind, max_positions=9))
        table = sinusoids(5, 3, states) if positions.learned is None else positions.learned(5, 3)
        torch.testing.assert_close(positions(states, 5), states + table)
        assert (positions.learned is None) == (kind == "sinusoids")
        assert (len(list(positions.parameters())) == 0) == (kind == "sinusoids")
    none = Positions(ModelConfig(hidden_dim=4, positional_encoding="none"))
    assert none(states, 5) is states


@pytest.mark.parametrize("kind", ["xavier", "equal"])
def test_equal_projections_let_equal_states_find_each_other(
    kind: str, make_model: Callable
) -> None:
    torch.manual_seed(3)
    decoder = make_model("self", "scaled-dot", projection_init=kind)[1]
    alike = 0
    for block in decoder.attend:
        mechanism = block.attention
        states = torch.randn(1, 5, mechanism.query_projection.in_features).double()
        memory = Memory(states, torch.ones(1, 5, dtype=torch.bool), states[:, 0])
        keys = mechanism.prepare(memory)
        output = mechanism(states, keys, mechanism.initial_state(keys), need_weights=True)
        alike += int((output.weights.argmax(-1) == torch.arange(5)).sum())
    assert (alike == 5 * len(decoder.attend)) == (kind == "equal")
    looks_back = decoder.look_back[0].attention
    assert not torch.equal(looks_back.query_projection.weight, looks_back.key_projection.weight)


def test_projections_of_different_sizes_start_at_random(make_model: Callable) -> None:
    options = {"key_value_heads": 1}
    decoder = make_model("self", "scaled-dot", projection_init="equal", options=options)[1]
    mechanism = decoder.attend[0].attention
    assert mechanism.query_projection.weight.shape != mechanism.key_projection.weight.shape

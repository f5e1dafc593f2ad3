"""The Transformer against PyTorch's own, with the same parameters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from bench.models.base import ModelConfig
from bench.models.transformer import sinusoids


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
        "d_model": sizes.hidden,
        "nhead": sizes.heads,
        "dim_feedforward": sizes.feed_forward,
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
    encoder, decoder = make_model("self", "scaled-dot", embedding=embedding)
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
    assert isinstance(decoder.leave, nn.Identity) is (embedding == sizes.hidden)

"""Rush's encoder, against its equations written out."""

from __future__ import annotations

import pytest
import torch

from bench.attention.registries import attentions
from bench.errors import NotApplicable
from bench.models import AttentionChoice
from bench.models.base import ModelConfig
from tasks.summarization.model import RushEncoder, rush_encoder

SIZES = ModelConfig(embedding_dim=5, hidden_dim=6)


@pytest.mark.parametrize("window", [0, 1, 2, 7])
def test_values_are_means_of_projected_embeddings_in_a_window(window: int) -> None:
    torch.manual_seed(0)
    encoder = RushEncoder(5, SIZES, window)
    features = torch.randn(2, 6, 5)
    lengths = [6, 4]
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    memory = encoder(features, mask)
    for row, length in enumerate(lengths):
        projected = features[row, :length] @ encoder.project.weight.T
        torch.testing.assert_close(memory.states[row, :length], projected)
        means = [
            projected[max(place - window, 0) : place + window + 1].mean(dim=0)
            for place in range(length)
        ]
        assert memory.values is not None
        torch.testing.assert_close(memory.values[row, :length], torch.stack(means))
        torch.testing.assert_close(memory.summary[row], projected.mean(dim=0))
    assert not memory.states[1, 4:].any() and not memory.values[1, 4:].any()


def test_padding_changes_nothing() -> None:
    torch.manual_seed(0)
    encoder = RushEncoder(5, SIZES, 2)
    features = torch.randn(1, 4, 5)
    short = encoder(features, torch.ones(1, 4, dtype=torch.bool))
    padded = torch.cat([features, torch.full((1, 3, 5), 1e6)], dim=1)
    segments = torch.tensor([[0, 0, 1, 1, 0, 0, 0]])
    long = encoder(padded, torch.arange(7)[None] < 4, segments)
    torch.testing.assert_close(long.values[:, :4], short.values)
    torch.testing.assert_close(long.summary, short.summary)
    assert long.segments is segments


@pytest.mark.parametrize("attention", attentions.names())
def test_it_is_for_recurrent_decoders(attention: str) -> None:
    kind = attentions.get(attention)
    choice = AttentionChoice(kind, kind.classic_score, kind.Options(), kind.backbone)
    if kind.backbone != "recurrent":
        with pytest.raises(NotApplicable, match="recurrent"):
            rush_encoder(choice, 5, SIZES, 2)
    else:
        assert rush_encoder(choice, 5, SIZES, 2).output_size == SIZES.hidden_dim

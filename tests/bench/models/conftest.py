"""What the model tests share: one thread, a fixed seed, small batches and small models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from bench.attention import Backbone
from bench.attention.base import (
    Memory,
    lengths_to_mask,
)
from bench.attention.registries import attentions
from bench.models import AttentionChoice, build_decoder, build_encoder
from bench.models.base import Decoder, Encoder, ModelConfig

SIZES = ModelConfig(
    embedding_dim=6,
    hidden_dim=8,
    encoder_layers=2,
    decoder_layers=2,
    num_heads=2,
    ffn_dim=12,
    dropout=0.0,
    max_positions=40,
)
FEATURES = 5
VOCABULARY = 9


@pytest.fixture(autouse=True)
def _seeded() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(11)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def sizes() -> ModelConfig:
    return SIZES


@pytest.fixture
def make_model() -> Callable[..., tuple[Encoder, Decoder]]:
    """Encoder and decoder of an attention and score, in float64 and evaluation mode."""

    def make(
        attention: str,
        score: str,
        *,
        options: dict[str, object] | None = None,
        backbone: Backbone | None = None,
        **changed: object,
    ) -> tuple[Encoder, Decoder]:
        kind = attentions.get(attention)
        chosen = replace(SIZES, **changed)  # type: ignore[arg-type]
        chosen_options = kind.Options(**(options or {}))
        choice = AttentionChoice(
            kind, score, chosen_options, backbone or kind.backbone, length_ratio=1.5
        )
        encoder = build_encoder(choice, FEATURES, chosen)
        decoder = build_decoder(choice, encoder.output_size, VOCABULARY, chosen)
        # Random biases, so that a forgotten one shows.
        for parameter in (*encoder.parameters(), *decoder.parameters()):
            if parameter.dim() == 1:
                torch.nn.init.normal_(parameter, std=0.3)
        return encoder.double().eval(), decoder.double().eval()

    return make


@pytest.fixture
def make_batch() -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """Features B,S,5 with zeros as padding, their mask, and tokens B,T of a small vocabulary."""

    def make(lengths: list[int], targets: int = 6) -> tuple[Tensor, Tensor, Tensor]:
        mask = lengths_to_mask(torch.tensor(lengths), max(lengths))
        features = torch.randn(len(lengths), max(lengths), FEATURES, dtype=torch.float64)
        tokens = torch.randint(1, VOCABULARY, (len(lengths), targets))
        return features * mask[..., None], mask, tokens

    return make


@pytest.fixture
def repad() -> Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]:
    """Features and mask with further padding, and something else in all of it."""

    def change(features: Tensor, mask: Tensor, further: int) -> tuple[Tensor, Tensor]:
        wide = torch.nn.functional.pad(features, (0, 0, 0, further))
        mask = torch.nn.functional.pad(mask, (0, further))
        return torch.where(mask[..., None], wide, 7.0), mask

    return change


@pytest.fixture
def row_of() -> Callable[[Memory, int], Memory]:
    """One example of a memory, cut to its own length."""

    def cut(memory: Memory, row: int) -> Memory:
        length = int(memory.lengths[row])
        one = memory.select(torch.tensor([row]))
        return replace(
            one,
            states=one.states[:, :length],
            mask=one.mask[:, :length],
            values=None if one.values is None else one.values[:, :length],
            segments=None if one.segments is None else one.segments[:, :length],
        )

    return cut

"""The model that is measured: that of the peers, with any attention."""

from __future__ import annotations

import torch

from bench.attention.registries import attentions, score_of
from bench.models import AttentionChoice, build_decoder, build_encoder
from bench.models.layers import VocabularyHead
from measures.sentences import VOCABULARY
from tasks.settings import Settings
from tasks.training.module import model_sizes
from tasks.training.sequence import GenerationModule, TokenFront


def sizes(**changed: object) -> Settings:
    """GRU 256, encoder 2 x 128, embeddings of 256, dropout 0.3, output layer of its own."""
    plain = {"embedding_dim": 256, "hidden_dim": 256, "dropout": 0.3, "tie_embeddings": False}
    return Settings(
        **{**plain, "learning_rate": 1e-3, "schedule": "constant", "grad_clip_norm": 5.0, **changed}
    )


def make(
    attention: str, score: str | None = None, *, input_feeding: bool = False
) -> GenerationModule:
    """A model as a trial would build it, from the same seed every time.

    Args:
        score: None for the mechanism's classic one.
    """
    kind = attentions.get(attention)
    settings = sizes(input_feeding=input_feeding)
    chosen = score_of(kind, score)
    options = kind.Options()
    choice = AttentionChoice(kind, chosen, options, kind.backbone)
    source, target = VOCABULARY
    torch.manual_seed(1)
    front = TokenFront(source, settings.embedding_dim, settings.dropout)
    encoder = build_encoder(choice, settings.embedding_dim, model_sizes(settings))
    decoder = build_decoder(choice, encoder.output_size, target, model_sizes(settings))
    head = VocabularyHead(decoder.output_size, decoder.embedding, tied=settings.tie_embeddings)
    return GenerationModule(front, encoder, decoder, head, settings, options)

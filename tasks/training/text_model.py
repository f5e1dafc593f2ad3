"""The model of the tasks that turn text into text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.models.base import Encoder, ModelConfig
from bench.models.build import AttentionChoice, build_decoder, build_encoder
from bench.models.heads import VocabularyHead
from tasks.base import Plan
from tasks.data.text_pairs import TextData
from tasks.settings import TextSettings
from tasks.training.module import model_sizes
from tasks.training.sequence import GenerationModule, TokenFront

#: As `bench.models.build.build_encoder`.
MakeEncoder = Callable[[AttentionChoice, int, ModelConfig], Encoder]


def text_module(
    plan: Plan, data: TextData[Any], make_encoder: MakeEncoder = build_encoder
) -> GenerationModule:
    """Token embeddings, encoder, decoder with attention, and a head over the target vocabulary."""
    settings = plan.settings
    assert isinstance(settings, TextSettings)
    sizes = model_sizes(settings)
    choice = AttentionChoice(
        plan.attention, plan.cell.score, plan.attention_options, data.length_ratio
    )
    front = TokenFront(data.source_tokeniser.size, settings.embedding, settings.dropout)
    encoder = make_encoder(choice, settings.embedding, sizes)
    decoder = build_decoder(choice, encoder.output_size, data.target_tokeniser.size, sizes)
    if settings.joint_vocabulary:
        front.embedding = decoder.embedding
    head = VocabularyHead(decoder.output_size, decoder.embedding, tied=settings.tied)
    return GenerationModule(front, encoder, decoder, head, settings, plan.attention_options)

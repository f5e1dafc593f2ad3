"""Translation: sentence to sentence."""

from __future__ import annotations

from typing import ClassVar

import pytorch_lightning as pl

from bench.models.build import AttentionChoice, build_decoder, build_encoder
from bench.models.head import VocabularyHead
from tasks.base import Evaluation, Paths, Plan, Task, TaskData
from tasks.generation import GenerationModule, TokenFront
from tasks.model_sizes import model_sizes
from tasks.registries import tasks
from tasks.settings import Settings
from tasks.translation.data import TranslationData, prepare
from tasks.translation.settings import TranslationSettings
from tasks.translation.testing import evaluate


@tasks.register("translation")
class Translation(Task):
    """Sentence to sentence (Sutskever 2014, Bahdanau 2015)."""

    name: ClassVar[str] = "translation"
    summary: ClassVar[str] = "a sentence in one language to the same in another"
    headline: ClassVar[str] = "bleu"
    length_unit: ClassVar[str] = "source words"
    train_unit: ClassVar[str] = "target tokens"
    Settings: ClassVar[type[Settings]] = TranslationSettings

    @classmethod
    def prepare(cls, plan: Plan, paths: Paths) -> TranslationData:
        corpus = plan.dataset.load(plan.dataset_options, paths.data_root)
        assert isinstance(plan.settings, TranslationSettings)
        return prepare(corpus, plan.settings, paths)

    @classmethod
    def module(cls, plan: Plan, data: TaskData) -> GenerationModule:
        assert isinstance(data, TranslationData)
        settings = plan.settings
        sizes = model_sizes(settings)
        choice = AttentionChoice(
            plan.attention, plan.cell.score, plan.attention_options, data.length_ratio
        )
        front = TokenFront(data.source_tokeniser.size, settings.embedding, settings.dropout)
        encoder = build_encoder(choice, settings.embedding, sizes)
        decoder = build_decoder(choice, encoder.output_size, data.target_tokeniser.size, sizes)
        head = VocabularyHead(decoder.output_size, decoder.embedding, tied=settings.tied)
        return GenerationModule(front, encoder, decoder, head, settings, plan.attention_options)

    @classmethod
    def evaluate(cls, plan: Plan, module: pl.LightningModule, data: TaskData) -> Evaluation:
        assert isinstance(module, GenerationModule) and isinstance(data, TranslationData)
        return evaluate(module, data)

"""Summarization: a news lead or a document to its headline.

Names and settings stand here; what takes seconds to import is imported where it is used.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

from tasks.base import Evaluation, Paths, Plan, Task, TaskData
from tasks.registries import tasks
from tasks.settings import Settings
from tasks.summarization.settings import SummarySettings

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from tasks.generation import GenerationModule
    from tasks.summarization.corpus import Document
    from tasks.text_to_text.data import TextData


@tasks.register("summarization")
class Summarization(Task):
    """A document to its headline (Rush 2015, See 2017)."""

    name: ClassVar[str] = "summarization"
    summary: ClassVar[str] = "a news lead or a whole document to its headline"
    headline: ClassVar[str] = "rouge_l"
    length_unit: ClassVar[str] = "document words"
    train_unit: ClassVar[str] = "target tokens"
    Settings: ClassVar[type[Settings]] = SummarySettings

    @classmethod
    def prepare(cls, plan: Plan, paths: Paths) -> TextData[Document]:
        from tasks.summarization.data import prepare

        corpus = plan.dataset.load(plan.dataset_options, paths.data_root)
        assert isinstance(plan.settings, SummarySettings)
        return prepare(corpus, plan.settings, paths)

    @classmethod
    def module(cls, plan: Plan, data: TaskData) -> GenerationModule:
        from bench.models.build import build_encoder
        from tasks.summarization.rush import rush_encoder
        from tasks.text_to_text.data import TextData
        from tasks.text_to_text.model import text_module

        settings = plan.settings
        assert isinstance(data, TextData) and isinstance(settings, SummarySettings)
        if settings.encoder == "rush":
            return text_module(plan, data, partial(rush_encoder, window=settings.smoothing))
        return text_module(plan, data, build_encoder)

    @classmethod
    def evaluate(cls, plan: Plan, module: pl.LightningModule, data: TaskData) -> Evaluation:
        from tasks.generation import GenerationModule
        from tasks.summarization.testing import SCORING, word_pair
        from tasks.text_to_text.data import TextData
        from tasks.text_to_text.testing import evaluate

        assert isinstance(module, GenerationModule) and isinstance(data, TextData)
        return evaluate(module, data, SCORING, word_pair)

"""Translation: sentence to sentence."""

from __future__ import annotations

from typing import ClassVar

import pytorch_lightning as pl

from tasks.base import Evaluation, Paths, Plan, Task, TaskData
from tasks.generation import GenerationModule
from tasks.registries import tasks
from tasks.settings import Settings
from tasks.text_to_text.data import TextData
from tasks.text_to_text.model import text_module
from tasks.text_to_text.settings import TextSettings
from tasks.text_to_text.testing import evaluate
from tasks.translation.corpus import Pair
from tasks.translation.data import prepare
from tasks.translation.testing import SCORING, word_pair


@tasks.register("translation")
class Translation(Task):
    """Sentence to sentence (Sutskever 2014, Bahdanau 2015)."""

    name: ClassVar[str] = "translation"
    summary: ClassVar[str] = "a sentence in one language to the same in another"
    headline: ClassVar[str] = SCORING.name
    length_unit: ClassVar[str] = "source words"
    train_unit: ClassVar[str] = "target tokens"
    Settings: ClassVar[type[Settings]] = TextSettings

    @classmethod
    def prepare(cls, plan: Plan, paths: Paths) -> TextData[Pair]:
        corpus = plan.dataset.load(plan.dataset_options, paths.data_root)
        assert isinstance(plan.settings, TextSettings)
        return prepare(corpus, plan.settings, paths)

    @classmethod
    def module(cls, plan: Plan, data: TaskData) -> GenerationModule:
        assert isinstance(data, TextData)
        return text_module(plan, data)

    @classmethod
    def evaluate(cls, plan: Plan, module: pl.LightningModule, data: TaskData) -> Evaluation:
        assert isinstance(module, GenerationModule) and isinstance(data, TextData)
        return evaluate(module, data, SCORING, word_pair)

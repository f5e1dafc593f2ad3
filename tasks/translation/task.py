"""Translation: sentence to sentence.

Names and settings stand here; what takes seconds to import is imported where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tasks.base import Evaluation, Paths, Plan, Task, TaskData
from tasks.registries import tasks
from tasks.settings import Settings
from tasks.text_to_text.settings import TextSettings

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from tasks.generation import GenerationModule
    from tasks.text_to_text.data import TextData
    from tasks.translation.corpus import Pair


@tasks.register("translation")
class Translation(Task):
    """Sentence to sentence (Sutskever 2014, Bahdanau 2015)."""

    name: ClassVar[str] = "translation"
    summary: ClassVar[str] = "a sentence in one language to the same in another"
    headline: ClassVar[str] = "bleu"
    length_unit: ClassVar[str] = "source words"
    train_unit: ClassVar[str] = "target tokens"
    Settings: ClassVar[type[Settings]] = TextSettings

    @classmethod
    def prepare(cls, plan: Plan, paths: Paths) -> TextData[Pair]:
        from tasks.translation.data import prepare

        corpus = plan.dataset.load(plan.dataset_options, paths.data_root)
        assert isinstance(plan.settings, TextSettings)
        return prepare(corpus, plan.settings, paths)

    @classmethod
    def module(cls, plan: Plan, data: TaskData) -> GenerationModule:
        from tasks.text_to_text.data import TextData
        from tasks.text_to_text.model import text_module

        assert isinstance(data, TextData)
        return text_module(plan, data)

    @classmethod
    def evaluate(cls, plan: Plan, module: pl.LightningModule, data: TaskData) -> Evaluation:
        from tasks.generation import GenerationModule
        from tasks.text_to_text.data import TextData
        from tasks.text_to_text.testing import evaluate
        from tasks.translation.testing import SCORING, word_pair

        assert isinstance(module, GenerationModule) and isinstance(data, TextData)
        return evaluate(module, data, SCORING, word_pair)

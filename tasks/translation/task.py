"""Translation: sentence to sentence.

Names and settings stand here; what takes seconds to import is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from tasks.base import Evaluation, Paths, Plan, Task, TaskData, tasks
from tasks.data.lines import Texts
from tasks.data.text_pairs import Part, TextCorpus, TextData, prepare_texts
from tasks.settings import Settings, TextSettings
from tasks.translation.corpus import Corpus, Pair

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from tasks.training.sequence import GenerationModule
    from tasks.translation.evaluate import TranslationScorer


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

        corpus = plan.dataset.load(plan.dataset_options, paths.data_root)
        assert isinstance(plan.settings, TextSettings)
        return prepare(corpus, plan.settings, paths)

    @classmethod
    def module(cls, plan: Plan, data: TaskData) -> GenerationModule:
        from tasks.data.text_pairs import TextData
        from tasks.training.text_model import text_module

        assert isinstance(data, TextData)
        return text_module(plan, data)

    @classmethod
    def evaluate(cls, plan: Plan, module: pl.LightningModule, data: TaskData) -> Evaluation:
        from tasks.data.text_pairs import TextData
        from tasks.evaluation.text_to_text import evaluate_texts
        from tasks.training.sequence import GenerationModule

        assert isinstance(module, GenerationModule) and isinstance(data, TextData)
        return evaluate_texts(cls.scorer(), module, data)

    @classmethod
    def scorer(cls) -> TranslationScorer:
        from tasks.translation.evaluate import TranslationScorer

        return TranslationScorer()


# Translation data made ready.


def prepare(corpus: Corpus, settings: TextSettings, paths: Paths) -> TextData[Pair]:
    """As `tasks.data.text_pairs.prepare_texts`."""
    corpus = corpus.limited(settings.train_limit, settings.test_limit)
    texts = TextCorpus.of(corpus, _part, sure=corpus.sure)
    return prepare_texts("translation", texts, settings, paths.cache)


def _part(pairs: Sequence[Pair]) -> Part[Pair]:
    return Part(pairs, Texts(pairs, "source_text"), Texts(pairs, "target_text"))

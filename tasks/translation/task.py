"""Translation: sentence to sentence.

Names and settings stand here; what takes seconds to import is imported where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tasks.base import Evaluation, Paths, Plan, Task, tasks
from tasks.settings import Settings
from tasks.translation.datasets import Pair, TranslationCorpus
from tasks.translation.settings import TranslationSettings

if TYPE_CHECKING:
    from tasks.data.texts import ModelTexts, TextData
    from tasks.processor import InputKind
    from tasks.training.sequence import GenerationModule
    from tasks.translation.evaluate import TranslationScorer
    from tasks.translation.processor import TranslationProcessor


TranslationPlan = Plan[TranslationSettings, TranslationCorpus]


@tasks.register("translation")
class Translation(
    Task[TranslationSettings, TranslationCorpus, "TextData[Pair]", "GenerationModule"]
):
    """Sentence to sentence (Sutskever 2014, Bahdanau 2015)."""

    name: ClassVar[str] = "translation"
    summary: ClassVar[str] = "a sentence in one language to the same in another"
    headline: ClassVar[str] = "bleu"
    length_unit: ClassVar[str] = "source words"
    train_unit: ClassVar[str] = "target tokens"
    inputs: ClassVar[tuple[InputKind, ...]] = ("text",)
    Settings: ClassVar[type[Settings]] = TranslationSettings

    @classmethod
    def processor(cls) -> type[TranslationProcessor]:
        from tasks.translation.processor import TranslationProcessor

        return TranslationProcessor

    @classmethod
    def prepare(cls, plan: TranslationPlan, paths: Paths) -> TextData[Pair]:
        from tasks.data.texts import prepare_texts
        from tasks.translation.processor import texts_of

        settings = plan.settings
        if settings.bleu_tokenize != "auto":
            from tasks.translation.evaluate import require_tokenizer

            require_tokenizer(settings.bleu_tokenize)
        corpus = plan.load(paths.data_root)
        return prepare_texts(corpus, texts_of, settings, paths.cache, sure=corpus.sure)

    @classmethod
    def module(cls, plan: TranslationPlan, data: ModelTexts) -> GenerationModule:
        from tasks.training.sequence import text_module

        return text_module(plan, data)

    @classmethod
    def evaluate(
        cls, plan: TranslationPlan, module: GenerationModule, data: TextData[Pair]
    ) -> Evaluation:
        from tasks.evaluation.text import evaluate_texts

        return evaluate_texts(cls.scorer(), module, data)

    @classmethod
    def scorer(cls) -> TranslationScorer:
        from tasks.translation.evaluate import TranslationScorer

        return TranslationScorer()

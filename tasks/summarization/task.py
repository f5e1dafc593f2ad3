"""Summarization: a news lead or a document to its headline.

Names and settings stand here; what takes seconds to import is imported where it is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from tasks.base import Evaluation, Paths, Plan, Task, TaskData, tasks
from tasks.data.lines import Texts
from tasks.data.text_pairs import Part, TextCorpus, TextData, prepare_texts
from tasks.settings import Settings, TextSettings
from tasks.summarization.baselines import figures
from tasks.summarization.documents import Document, Segments, SummaryCorpus
from tasks.summarization.settings import SummarySettings

if TYPE_CHECKING:
    import pytorch_lightning as pl

    from tasks.summarization.evaluate import SummaryScorer
    from tasks.training.sequence import GenerationModule


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

        corpus = plan.dataset.load(plan.dataset_options, paths.data_root)
        assert isinstance(plan.settings, SummarySettings)
        return prepare(corpus, plan.settings, paths)

    @classmethod
    def module(cls, plan: Plan, data: TaskData) -> GenerationModule:
        from bench.models.build import build_encoder
        from tasks.data.text_pairs import TextData
        from tasks.summarization.model import rush_encoder
        from tasks.training.text_model import text_module

        settings = plan.settings
        assert isinstance(data, TextData) and isinstance(settings, SummarySettings)
        if settings.encoder == "rush":
            return text_module(plan, data, partial(rush_encoder, window=settings.smoothing))
        return text_module(plan, data, build_encoder)

    @classmethod
    def evaluate(cls, plan: Plan, module: pl.LightningModule, data: TaskData) -> Evaluation:
        from tasks.data.text_pairs import TextData
        from tasks.evaluation.text_to_text import evaluate_texts
        from tasks.training.sequence import GenerationModule

        assert isinstance(module, GenerationModule) and isinstance(data, TextData)
        return evaluate_texts(cls.scorer(), module, data)

    @classmethod
    def scorer(cls) -> SummaryScorer:
        from tasks.summarization.evaluate import SummaryScorer

        return SummaryScorer()


# Summarization data made ready.


def prepare(corpus: SummaryCorpus, settings: TextSettings, paths: Paths) -> TextData[Document]:
    """As `tasks.data.text_pairs.prepare_texts`; segments are sentences."""
    corpus = corpus.limited(settings.train_limit, settings.test_limit)
    controls = partial(figures, corpus, paths.cache)
    texts = TextCorpus.of(corpus, _part, controls=controls)
    return prepare_texts("summarization", texts, settings, paths.cache)


def _part(documents: Sequence[Document]) -> Part[Document]:
    return Part(
        documents,
        source=Texts(documents, "source_text"),
        target=Texts(documents, "summary_text"),
        segments=Segments(documents),
    )

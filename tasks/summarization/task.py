"""Summarization: a news lead or a document to its headline.

Names and settings stand here; what takes seconds to import is imported where it is used.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from tasks.base import Evaluation, Paths, Plan, Task, tasks
from tasks.settings import Settings, TextSettings
from tasks.summarization.datasets import Document, SummaryCorpus

if TYPE_CHECKING:
    from tasks.data.texts import ModelTexts, TextData
    from tasks.processor import InputKind
    from tasks.summarization.evaluate import SummaryScorer
    from tasks.summarization.processor import SummarizationProcessor
    from tasks.training.sequence import GenerationModule


class SummarySettings(TextSettings):
    """Settings of all tasks on text, and the choice of the encoder."""

    encoder: Literal["family", "rush"] = Field(
        "family", description="that of the attention's family, or the local one of Rush 2015"
    )
    smoothing: int = Field(
        2, ge=0, description="encoder=rush: positions averaged on either side (Q; Rush 2015 has 2)"
    )


SummarizationPlan = Plan[SummarySettings, SummaryCorpus]


@tasks.register("summarization")
class Summarization(Task[SummarySettings, SummaryCorpus, "TextData[Document]", "GenerationModule"]):
    """A document to its headline (Rush 2015, See 2017)."""

    name: ClassVar[str] = "summarization"
    summary: ClassVar[str] = "a news lead or a whole document to its headline"
    headline: ClassVar[str] = "rouge_l"
    length_unit: ClassVar[str] = "document words"
    train_unit: ClassVar[str] = "target tokens"
    inputs: ClassVar[tuple[InputKind, ...]] = ("text",)
    Settings: ClassVar[type[Settings]] = SummarySettings

    @classmethod
    def processor(cls) -> type[SummarizationProcessor]:
        from tasks.summarization.processor import SummarizationProcessor

        return SummarizationProcessor

    @classmethod
    def prepare(cls, plan: SummarizationPlan, paths: Paths) -> TextData[Document]:
        from tasks.data.texts import prepare_texts
        from tasks.summarization.baselines import figures
        from tasks.summarization.processor import texts_of

        corpus = plan.load(paths.data_root)
        baselines = partial(figures, corpus, paths.cache)
        return prepare_texts(corpus, texts_of, plan.settings, paths.cache, baselines=baselines)

    @classmethod
    def module(cls, plan: SummarizationPlan, data: ModelTexts) -> GenerationModule:
        from bench.models import build_encoder
        from tasks.summarization.model import rush_encoder
        from tasks.training.sequence import text_module

        if plan.settings.encoder == "rush":
            return text_module(plan, data, partial(rush_encoder, window=plan.settings.smoothing))
        return text_module(plan, data, build_encoder)

    @classmethod
    def evaluate(
        cls, plan: SummarizationPlan, module: GenerationModule, data: TextData[Document]
    ) -> Evaluation:
        from tasks.evaluation.text import evaluate_texts

        return evaluate_texts(cls.scorer(), module, data)

    @classmethod
    def scorer(cls) -> SummaryScorer:
        from tasks.summarization.evaluate import SummaryScorer

        return SummaryScorer()

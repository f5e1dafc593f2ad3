"""Entailment: a premise and a hypothesis to one of three classes.

Names and settings stand here; what takes seconds to import is imported where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tasks.base import Evaluation, Paths, Plan, Task, tasks
from tasks.entailment.datasets import LABELS, EntailmentCorpus
from tasks.entailment.settings import EntailmentSettings
from tasks.settings import Settings

if TYPE_CHECKING:
    from bench.models.layers import ClassHead
    from tasks.entailment.data import EntailmentData
    from tasks.entailment.evaluate import EntailmentScorer
    from tasks.training.classifier import ClassificationModule


EntailmentPlan = Plan[EntailmentSettings, EntailmentCorpus]


@tasks.register("entailment")
class Entailment(
    Task[EntailmentSettings, EntailmentCorpus, "EntailmentData", "ClassificationModule"]
):
    """The hypothesis is read word by word with attention over the premise (Rocktaschel 2016)."""

    name: ClassVar[str] = "entailment"
    summary: ClassVar[str] = "a premise and a hypothesis: entailed, contradicted, or neither"
    headline: ClassVar[str] = "accuracy"
    length_unit: ClassVar[str] = "premise words"
    train_unit: ClassVar[str] = "hypothesis words"
    Settings: ClassVar[type[Settings]] = EntailmentSettings

    @classmethod
    def prepare(cls, plan: EntailmentPlan, paths: Paths) -> EntailmentData:
        from tasks.entailment.data import prepare

        return prepare(plan.load(paths.data_root), plan.settings, paths)

    @classmethod
    def module(cls, plan: EntailmentPlan, data: EntailmentData) -> ClassificationModule:
        from bench.models import AttentionChoice, build_decoder, build_encoder
        from tasks.entailment.model import WordEmbedding, spelling_vectors
        from tasks.training.classifier import ClassificationModule
        from tasks.training.module import model_sizes
        from tasks.training.sequence import TokenFront

        settings = plan.settings
        sizes = model_sizes(settings)
        choice = AttentionChoice(
            plan.attention,
            plan.cell.score,
            plan.attention_options,
            plan.backbone,
            data.length_ratio,
        )
        front = TokenFront(data.vocabulary.size, settings.embedding_dim, settings.dropout)
        encoder = build_encoder(choice, settings.embedding_dim, sizes)
        decoder = build_decoder(choice, encoder.output_size, data.vocabulary.size, sizes)
        if settings.word_vectors == "fixed":
            vectors = spelling_vectors(
                data.vocabulary.spellings, settings.embedding_dim, settings.spelling
            )
            decoder.embedding = WordEmbedding(vectors * settings.word_scale, settings.word_rate)
        front.embedding = decoder.embedding  # one language on both sides
        return ClassificationModule(
            front,
            encoder,
            decoder,
            _head(plan, decoder.state_size, decoder.context_size),
            plan.attends,
            len(LABELS),
            settings,
            plan.attention_options,
            decoder.embedding if settings.head == "compare" and settings.compare_words else None,
        )

    @classmethod
    def evaluate(
        cls, plan: EntailmentPlan, module: ClassificationModule, data: EntailmentData
    ) -> Evaluation:
        from tasks.entailment.evaluate import evaluate

        return evaluate(module, data)

    @classmethod
    def scorer(cls) -> EntailmentScorer:
        from tasks.entailment.evaluate import EntailmentScorer

        return EntailmentScorer()


def _head(plan: EntailmentPlan, state_size: int, context_size: int) -> ClassHead:
    from bench.models.layers import ComparisonHead, LastStateHead

    settings = plan.settings
    if settings.head == "compare":
        words = settings.embedding_dim if settings.compare_words else 0
        return ComparisonHead(
            state_size, context_size, settings.hidden_dim, len(LABELS), settings.dropout, words
        )
    if not plan.attends:
        context_size = 0  # plain conditional encoding
    return LastStateHead(
        state_size, context_size, settings.hidden_dim, len(LABELS), settings.dropout
    )

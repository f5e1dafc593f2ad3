"""Entailment: a premise and a hypothesis to one of three classes.

Names and settings stand here; what takes seconds to import is imported where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from bench.attention.registries import scores
from tasks.base import Evaluation, Paths, Plan, Task, tasks
from tasks.entailment.datasets import LABELS, EntailmentCorpus
from tasks.entailment.settings import EntailmentSettings
from tasks.settings import Settings

if TYPE_CHECKING:
    from bench.models.layers import ClassHead
    from tasks.entailment.data import EntailmentData
    from tasks.entailment.evaluate import EntailmentScorer
    from tasks.entailment.model import WordEmbedding
    from tasks.entailment.processor import EntailmentProcessor
    from tasks.processor import InputKind
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
    inputs: ClassVar[tuple[InputKind, ...]] = ("text", "hypothesis")
    Settings: ClassVar[type[Settings]] = EntailmentSettings

    @classmethod
    def plan_refusal(cls, plan: EntailmentPlan) -> str | None:
        settings = plan.settings
        if settings.reader == "decoder":
            return None
        reader = f"reader={settings.reader}"
        if plan.cell.attention != "global" or plan.backbone != "recurrent":
            return f"{reader} aligns by one matrix of energies: use global in a recurrent model"
        if getattr(plan.attention_options, "heads", 1) > 1:
            return f"{reader} aligns by one matrix of energies, not by several heads"
        if scores.get(plan.cell.score).reads:
            return f"{reader} aligns all words at once, and {plan.cell.score} reads the step before"
        for name in ("coverage_loss", "guided_loss", "energy_factor"):
            if name in plan.attention_options.model_dump(exclude_defaults=True):
                return f"{reader} has weights of its own, and {name} is an option of a decoder's"
        if settings.gold_attention == "given":
            return f"{reader} aligns both ways, and gold alignments are given one way"
        return None

    @classmethod
    def processor(cls) -> type[EntailmentProcessor]:
        from tasks.entailment.processor import EntailmentProcessor

        return EntailmentProcessor

    @classmethod
    def prepare(cls, plan: EntailmentPlan, paths: Paths) -> EntailmentData:
        from tasks.entailment.data import prepare

        return prepare(plan.load(paths.data_root), plan.settings, paths)

    @classmethod
    def module(
        cls, plan: EntailmentPlan, data: EntailmentData | EntailmentProcessor
    ) -> ClassificationModule:
        from bench.models import AttentionChoice, build_decoder, build_encoder
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
        if settings.reader != "decoder":
            return _matching_module(plan, data)
        front = TokenFront(data.vocabulary.size, settings.embedding_dim, settings.dropout)
        encoder = build_encoder(choice, settings.embedding_dim, sizes)
        decoder = build_decoder(choice, encoder.output_size, data.vocabulary.size, sizes)
        if settings.word_vectors == "fixed":
            decoder.embedding = _spelled_embedding(settings, data)
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


def _spelled_embedding(
    settings: EntailmentSettings, data: EntailmentData | EntailmentProcessor
) -> WordEmbedding:
    """Fixed vectors by the words' spelling, with a slowly learned part."""
    from tasks.entailment.model import WordEmbedding, spelling_vectors

    vectors = spelling_vectors(data.vocabulary.spellings, settings.embedding_dim, settings.spelling)
    return WordEmbedding(vectors * settings.word_scale, settings.word_rate)


def _matching_module(
    plan: EntailmentPlan, data: EntailmentData | EntailmentProcessor
) -> ClassificationModule:
    """The model of a reader that aligns both texts at once."""
    from torch import nn

    from bench.attention.attention import ScoreOptions
    from bench.models.layers import token_embedding
    from tasks.entailment.matching import DecomposableModule, EsimModule, SoftAlignment

    settings, options = plan.settings, plan.attention_options
    assert isinstance(options, ScoreOptions)
    embedding: nn.Embedding
    if settings.word_vectors == "fixed":
        embedding = _spelled_embedding(settings, data)
    else:
        embedding = token_embedding(data.vocabulary.size, settings.embedding_dim)
    alignment = SoftAlignment(settings.hidden_dim, plan.cell.score, options)
    kind = EsimModule if settings.reader == "esim" else DecomposableModule
    return kind(embedding, alignment, len(LABELS), settings)


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

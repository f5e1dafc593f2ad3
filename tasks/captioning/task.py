"""Captioning: picture to sentence.

Names and settings stand here; what takes seconds to import is imported where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tasks.base import Evaluation, Paths, Plan, Task, tasks
from tasks.captioning.datasets import CaptionCorpus
from tasks.captioning.settings import CaptioningSettings
from tasks.settings import Settings

if TYPE_CHECKING:
    from tasks.captioning.data import CaptioningData
    from tasks.captioning.evaluate import CaptionScorer
    from tasks.captioning.model import CaptioningModule
    from tasks.captioning.processor import CaptioningProcessor
    from tasks.processor import InputKind


CaptioningPlan = Plan[CaptioningSettings, CaptionCorpus]


@tasks.register("captioning")
class Captioning(Task[CaptioningSettings, CaptionCorpus, "CaptioningData", "CaptioningModule"]):
    """Picture to sentence (Xu 2015)."""

    name: ClassVar[str] = "captioning"
    summary: ClassVar[str] = "a picture to a sentence that describes it"
    headline: ClassVar[str] = "cider"
    length_unit: ClassVar[str] = "objects (synthetic set) or reference words"
    train_unit: ClassVar[str] = "target tokens"
    # It looks at the centre of a cell, and links at how much of the cell is covered.
    pointing_counts_links: ClassVar[bool] = False
    inputs: ClassVar[tuple[InputKind, ...]] = ("picture",)
    Settings: ClassVar[type[Settings]] = CaptioningSettings

    @classmethod
    def plan_refusal(cls, plan: CaptioningPlan) -> str | None:
        from tasks.captioning.encoders import FROM_SCRATCH, grid_of_features, picture_encoders

        settings = plan.settings
        if settings.features != FROM_SCRATCH:
            encoder = picture_encoders.get(settings.features, where="--set features")
            grid_of_features(encoder, settings.features_size, settings.features_stride)
        return None

    @classmethod
    def processor(cls) -> type[CaptioningProcessor]:
        from tasks.captioning.processor import CaptioningProcessor

        return CaptioningProcessor

    @classmethod
    def prepare(cls, plan: CaptioningPlan, paths: Paths) -> CaptioningData:
        from tasks.captioning.data import prepare

        return prepare(plan.load(paths.data_root), plan.settings, paths)

    @classmethod
    def module(
        cls, plan: CaptioningPlan, data: CaptioningData | CaptioningProcessor
    ) -> CaptioningModule:
        from bench.models import AttentionChoice, build_decoder
        from bench.models.base import Encoder
        from bench.models.image_encoder import FeatureFront, GridEncoder, PictureFront
        from bench.models.layers import VocabularyHead
        from bench.models.transformer import SelfAttentiveEncoder
        from tasks.captioning.model import CaptioningModule, Frequencies
        from tasks.processor import Processor
        from tasks.training.module import model_sizes

        settings = plan.settings
        sizes = model_sizes(settings)
        choice = AttentionChoice(
            plan.attention,
            plan.cell.score,
            plan.attention_options,
            plan.backbone,
            data.length_ratio,
            axes=2,
        )
        front: FeatureFront | PictureFront
        if data.seen_by:
            front = FeatureFront(data.channels, settings.hidden_dim, dropout=settings.dropout)
        else:
            front = PictureFront(
                data.picture_size,
                settings.hidden_dim,
                stem=settings.stem,
                width=settings.width,
                stages=settings.stages,
                blocks=settings.blocks,
                dropout=settings.dropout,
            )
        encoder: Encoder = GridEncoder(
            choice, data.grid, settings.hidden_dim, sizes, settings.picture_regions
        )
        if sizes.encoder_self_attention and plan.backbone == "recurrent":
            encoder = SelfAttentiveEncoder(encoder, sizes, choice.build)
        decoder = build_decoder(choice, encoder.output_size, data.tokenizer.size, sizes)
        head = VocabularyHead(decoder.output_size, decoder.embedding, tied=settings.tie_embeddings)
        module = CaptioningModule(front, encoder, decoder, head, settings, plan.attention_options)
        if not isinstance(data, Processor):
            module.start_from(Frequencies.of(data.train.captions, data.tokenizer.size))
        return module

    @classmethod
    def evaluate(
        cls, plan: CaptioningPlan, module: CaptioningModule, data: CaptioningData
    ) -> Evaluation:
        from tasks.captioning.evaluate import evaluate

        return evaluate(module, data)

    @classmethod
    def scorer(cls) -> CaptionScorer:
        from tasks.captioning.evaluate import CaptionScorer

        return CaptionScorer()

"""Speech: from sound to phones, characters or words.

Names and settings stand here; what takes seconds to import is imported where it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tasks.base import Evaluation, Paths, Plan, Task, tasks
from tasks.settings import Settings
from tasks.speech.datasets import SpeechCorpus
from tasks.speech.settings import SpeechSettings

if TYPE_CHECKING:
    from tasks.processor import InputKind
    from tasks.speech.data import SpeechData
    from tasks.speech.evaluate import SpeechScorer
    from tasks.speech.model import SpeechModule
    from tasks.speech.processor import SpeechProcessor


SpeechPlan = Plan[SpeechSettings, SpeechCorpus]


@tasks.register("speech")
class Speech(Task[SpeechSettings, SpeechCorpus, "SpeechData", "SpeechModule"]):
    """Sound to symbols (Chorowski 2015, Chan 2016).

    The headline is the error rate of the corpus's units: per, cer or wer."""

    name: ClassVar[str] = "speech"
    summary: ClassVar[str] = "a recording to the phones, characters or words spoken in it"
    headline: ClassVar[str] = "per"
    higher_is_better: ClassVar[bool] = False
    length_unit: ClassVar[str] = "seconds x 10"
    train_unit: ClassVar[str] = "target units"
    inputs: ClassVar[tuple[InputKind, ...]] = ("sound",)
    Settings: ClassVar[type[Settings]] = SpeechSettings

    @classmethod
    def processor(cls) -> type[SpeechProcessor]:
        from tasks.speech.processor import SpeechProcessor

        return SpeechProcessor

    @classmethod
    def prepare(cls, plan: SpeechPlan, paths: Paths) -> SpeechData:
        from tasks.speech.data import prepare

        return prepare(plan.load(paths.data_root), plan.settings, paths)

    @classmethod
    def module(cls, plan: SpeechPlan, data: SpeechData | SpeechProcessor) -> SpeechModule:
        from bench.models import AttentionChoice, build_decoder, build_encoder
        from bench.models.layers import CtcHead, VocabularyHead
        from tasks.speech.model import SpeechModule, build_augment, build_front, build_speed
        from tasks.training.module import model_sizes

        settings = plan.settings
        sizes = model_sizes(settings)
        front = build_front(data.feature_size, settings)
        choice = AttentionChoice(
            plan.attention,
            plan.cell.score,
            plan.attention_options,
            plan.backbone,
            data.length_ratio(front.stride),
        )
        encoder = build_encoder(choice, front.output_size, sizes)
        decoder = build_decoder(choice, encoder.output_size, data.vocabulary.size, sizes)
        head = VocabularyHead(decoder.output_size, decoder.embedding, tied=settings.tie_embeddings)
        ctc = CtcHead(encoder.output_size, data.vocabulary.size) if settings.ctc_weight else None
        return SpeechModule(
            front,
            encoder,
            decoder,
            head,
            settings,
            plan.attention_options,
            ctc=ctc,
            augment=build_augment(data.feature_size, settings),
            speed=build_speed(settings),
        )

    @classmethod
    def evaluate(cls, plan: SpeechPlan, module: SpeechModule, data: SpeechData) -> Evaluation:
        from tasks.speech.evaluate import evaluate

        return evaluate(module, data)

    @classmethod
    def scorer(cls) -> SpeechScorer:
        from tasks.speech.evaluate import SpeechScorer

        return SpeechScorer()

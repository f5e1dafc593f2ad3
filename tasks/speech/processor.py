"""The processor of speech: from a sound file to features, and from ids to symbols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from bench.errors import UsageError
from bench.store.result import Trace
from tasks.base import Plan
from tasks.data.batching import Batch
from tasks.data.vocabulary import BOS, EOS, Vocabulary
from tasks.evaluation.decode import Written, write
from tasks.processor import OWN, InputKind, ModelOutput, Processor, file_of
from tasks.speech.alignment import TimeGrid, picture
from tasks.speech.audio import FileReader, read_sound
from tasks.speech.data import SpeechData
from tasks.speech.datasets import SpeechCorpus, Unit, join_units
from tasks.speech.evaluate import length_limit, time_grid
from tasks.speech.features import Extractor, FeatureOptions
from tasks.speech.model import front_kind
from tasks.speech.settings import SpeechSettings

if TYPE_CHECKING:
    from tasks.speech.model import SpeechModule


@dataclass(frozen=True)
class SpeechProcessor(Processor):
    """A recording to symbols.

    Attributes:
        rate: samples a second that recordings are brought to.
        reads_sound: False for models of data sets that come as features.
        feature_size: F, features of a frame.
        positions_per_unit: mean number of encoded positions over mean target length in training.
        fastest: most target units a frame in training.
    """

    settings: SpeechSettings
    vocabulary: Vocabulary
    unit: Unit
    rate: int
    reads_sound: bool
    feature_size: int
    positions_per_unit: float
    fastest: float

    @classmethod
    def of(cls, plan: Plan[Any, Any], data: SpeechData) -> Self:
        settings, corpus = plan.settings, data.corpus
        stride, _ = front_kind(settings).timing(settings.front_layers)
        return cls(
            settings,
            data.vocabulary,
            corpus.unit,
            corpus.rate,
            corpus.reader.kind == "waveforms",
            data.feature_size,
            data.length_ratio(stride),
            data.fastest,
        )

    @classmethod
    def restore(
        cls, plan: Plan[Any, Any], state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> Self:
        named = dict(state)
        vocabulary = Vocabulary(tuple(named.pop("symbols")))
        return cls(plan.settings, vocabulary, **named)

    def state(self) -> dict[str, Any]:
        names = ("unit", "rate", "reads_sound", "feature_size", "positions_per_unit", "fastest")
        own = {name: getattr(self, name) for name in names}
        return {"symbols": list(self.vocabulary.symbols), **own}

    def length_ratio(self, stride: int) -> float:
        """Mean number of encoded positions over mean target length, end tokens counted."""
        return self.positions_per_unit

    def answer(self, module: SpeechModule, given: Mapping[InputKind, Any]) -> ModelOutput:
        if not self.reads_sound:
            raise UsageError(
                "this model reads features that come with its data set, not sound",
                where="--sound",
                remedy="try one that was trained on recordings",
            )
        sound = read_sound(file_of(given, "sound"), self.rate)
        settings = self.settings
        options = FeatureOptions(
            n_mels=settings.n_mels, deltas=settings.deltas, normalise=settings.normalise
        )
        corpus = SpeechCorpus(
            train=(),
            validation=(),
            tests={},
            unit=self.unit,
            symbols=self.vocabulary.symbols,
            rate=self.rate,
            reader=FileReader(self.rate),
        )
        [features] = Extractor(corpus, options)([sound])  # S,F
        features = features.astype(np.float16).astype(np.float32)  # as prepared data are kept
        limit = length_limit(module.settings.max_length, self.fastest)
        [written] = write(module, _batch(features), limit)
        units = self.vocabulary.decode(written.tokens.tolist())
        grid = time_grid(module, options.frame_seconds(corpus))
        bands = features[:, : self.feature_size // (1 + settings.deltas)].T
        seconds = len(sound) / self.rate
        return ModelOutput(
            text=join_units(units, self.unit),
            trace=_trace(units, written, grid, bands, seconds),
            figures={"log_prob": round(written.score, 4), "seconds": round(seconds, 3)},
        )


def _batch(features: np.ndarray) -> Batch:
    """A batch of one utterance without a transcript."""
    frame = torch.tensor([[BOS]]), torch.tensor([[EOS]])
    mask = torch.ones(1, len(features), dtype=torch.bool)
    return Batch(torch.tensor([0]), torch.from_numpy(features)[None], mask, *frame, units=1)


def _trace(
    units: tuple[str, ...], written: Written, grid: TimeGrid, bands: np.ndarray, seconds: float
) -> Trace | None:
    """The trace of a transcript; None where nothing attends."""
    if written.weights is None:
        return None
    return Trace(
        example=OWN,
        subset=OWN,
        mode="free",
        kind="frames",
        source=tuple(f"{centre:.2f} s" for centre in grid.centres(written.weights.shape[1])),
        target=units,
        weights=written.weights,
        parts=written.parts,
        extra={
            "step": grid.step,
            "offset": grid.offset,
            "seconds": seconds,
            "picture": picture(bands),
        },
    )

"""The processor of entailment: the vocabulary that premise and hypothesis share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from tasks.base import Plan
from tasks.data.texts import Texts, encode_few
from tasks.data.tokenizer import plain_words
from tasks.data.vocabulary import Vocabulary
from tasks.entailment.data import Clauses, EntailmentData, Split
from tasks.entailment.datasets import LABELS, PairExample
from tasks.entailment.evaluate import attended, read_pairs
from tasks.entailment.settings import EntailmentSettings
from tasks.evaluation.text import traces
from tasks.processor import OWN, InputKind, ModelOutput, Processor, text_of, unknown_words

if TYPE_CHECKING:
    from tasks.training.classifier import ClassificationModule


@dataclass(frozen=True)
class EntailmentProcessor(Processor):
    """Premise (`text`) and hypothesis to one of three classes.

    Attributes:
        length_ratio: mean premise length over mean hypothesis length of the training data.
    """

    settings: EntailmentSettings
    vocabulary: Vocabulary
    length_ratio: float

    @classmethod
    def of(cls, plan: Plan[Any, Any], data: EntailmentData) -> Self:
        return cls(plan.settings, data.vocabulary, data.length_ratio)

    @classmethod
    def restore(
        cls, plan: Plan[Any, Any], state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> Self:
        vocabulary = Vocabulary(tuple(state["symbols"]), state["unknown"])
        return cls(plan.settings, vocabulary, state["length_ratio"])

    def state(self) -> dict[str, Any]:
        return {
            "symbols": list(self.vocabulary.symbols),
            "unknown": self.vocabulary.unknown,
            "length_ratio": self.length_ratio,
        }

    def answer(self, module: ClassificationModule, given: Mapping[InputKind, Any]) -> ModelOutput:
        premise, hypothesis = (plain_words(text_of(given, kind)) for kind in ("text", "hypothesis"))
        pair = PairExample(OWN, premise, hypothesis, None)
        batch = self._split(pair).batch(np.array([0])).to(module.device)
        [reading] = read_pairs(module, batch, keep_parts=1)
        chances = zip(LABELS, reading.probabilities.tolist(), strict=True)
        trace = None
        for one in attended([pair], [reading]):
            _, trace = traces(one, OWN)
        known = set(self.vocabulary.symbols)
        return ModelOutput(
            text=LABELS[int(reading.probabilities.argmax())],
            trace=trace,
            figures={label: round(chance, 4) for label, chance in chances},
            notes=unknown_words(word for word in premise + hypothesis if word not in known),
        )

    def _split(self, pair: PairExample) -> Split:
        clauses = Clauses([pair]) if self.settings.segments == "clauses" else None
        return Split(
            [pair],
            encode_few(Texts([pair], "premise_text"), self.vocabulary, segments=clauses),
            encode_few(Texts([pair], "hypothesis_text"), self.vocabulary),
            np.array([-1]),
        )

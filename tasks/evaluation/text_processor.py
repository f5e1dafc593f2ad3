"""The processor of the tasks that turn text into text: the tokenizers of both sides."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from tasks.base import Plan
from tasks.data.copying import CopyWords
from tasks.data.texts import ModelTexts, Split, SplitTexts, encode_few
from tasks.data.tokenizer import MARK, Tokenizer
from tasks.evaluation.decode import write
from tasks.evaluation.text import TextScorer, length_limit, written_trace
from tasks.processor import OWN, InputKind, ModelOutput, Processor, text_of, unknown_words
from tasks.settings import TextSettings

if TYPE_CHECKING:
    from tasks.training.sequence import GenerationModule


@dataclass(frozen=True)
class TextProcessor(Processor):
    """A task says how a text becomes an example (`example`), and what the texts of examples are
    (`texts`).

    Attributes:
        scorer: says how the task counts the words of an example.
        length_ratio: mean source length over mean target length of the training data.
    """

    scorer: ClassVar[TextScorer[Any]]
    plan: Plan[TextSettings, Any]
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer
    length_ratio: float

    @classmethod
    def of(cls, plan: Plan[Any, Any], data: ModelTexts) -> Self:
        return cls(plan, data.source_tokenizer, data.target_tokenizer, data.length_ratio)

    @classmethod
    def restore(
        cls, plan: Plan[Any, Any], state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
    ) -> Self:
        source = target = Tokenizer.from_json(state["source_tokenizer"])
        if not plan.settings.joint_vocab:
            target = Tokenizer.from_json(state["target_tokenizer"])
        return cls(plan, source, target, state["length_ratio"])

    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = {"length_ratio": self.length_ratio}
        state["source_tokenizer"] = self.source_tokenizer.to_json()
        if not self.plan.settings.joint_vocab:
            state["target_tokenizer"] = self.target_tokenizer.to_json()
        return state

    @abstractmethod
    def example(self, text: str) -> Any:
        """The example of the task with this source and an empty target."""

    @abstractmethod
    def texts(self, examples: Sequence[Any]) -> SplitTexts[Any]:
        """The texts of examples."""

    def answer(self, module: GenerationModule, given: Mapping[InputKind, Any]) -> ModelOutput:
        example = self.example(text_of(given, "text"))
        split = self._split(example)
        limit = length_limit(module.settings.max_length)
        [written] = write(module, split.batch(np.array([0])), limit)
        pair = self.scorer.word_pair(example)
        unknown = self.source_tokenizer.unknown(pair.source_text)
        return ModelOutput(
            text=self.target_tokenizer.decode(written.tokens, written.further),
            trace=written_trace(pair, written, split, self.target_tokenizer, OWN),
            figures={"log_prob": round(written.score, 4)},
            notes=unknown_words(token.removeprefix(MARK) for token in unknown),
        )

    def _split(self, example: Any) -> Split[Any]:
        part, copying = self.texts([example]), None
        if self.plan.settings.copying != "none":
            tokenizers = self.source_tokenizer, self.target_tokenizer
            copying = CopyWords(*tokenizers, part.source, part.target)
        return Split(
            [example],
            encode_few(part.source, self.source_tokenizer, segments=part.segments),
            encode_few(part.target, self.target_tokenizer),
            copying,
        )

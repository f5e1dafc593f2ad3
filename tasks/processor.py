"""A task's processor: what a trained model needs besides its parameters to be built again, to read
input of a user's own, and to say in words what it wrote.

A processor is made of the prepared data of a trial and kept with the model as plain data. A task's
own is in `tasks/<task>/processor.py`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self

from bench.errors import UsageError, blank, listed
from bench.store.result import Trace
from tasks.data.unicode import composed

if TYPE_CHECKING:
    import numpy as np

#: Kinds of input of a user's own.
InputKind = Literal["text", "hypothesis", "picture", "sound"]

#: Name of a user's own example, and of the "test set" it stands in, in traces.
OWN = "own"

#: Characters of a text; attention over more of them would fill the memory.
LONGEST_TEXT = 100_000


@dataclass(frozen=True)
class ModelOutput:
    """What a model made of one input.

    Attributes:
        text: the sentence or transcript that it wrote, or the class it chose.
        trace: its attention; None where nothing attends.
        figures: `log_prob` of a text (nats, end included), or the probability of each class.
        notes: what a reader must know, such as words that the model does not know.
    """

    text: str
    trace: Trace | None = None
    figures: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON data; `Trace.from_json` makes an object of the attention."""
        return {
            "output": self.text,
            "figures": dict(self.figures),
            "notes": list(self.notes),
            "attention": None if self.trace is None else self.trace.to_json(),
        }


class Processor(ABC):
    """Base of the processors."""

    @classmethod
    @abstractmethod
    def of(cls, plan: Any, data: Any) -> Self:
        """The processor of a trial, from its plan (`tasks.base.Plan`) and prepared data."""

    @classmethod
    @abstractmethod
    def restore(cls, plan: Any, state: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> Self:
        """The processor that `state` and `arrays` are of."""

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """All of it that is no array, as JSON data."""

    def arrays(self) -> dict[str, np.ndarray]:
        """Its arrays by name."""
        return {}

    @abstractmethod
    def answer(self, module: Any, given: Mapping[InputKind, Any]) -> ModelOutput:
        """What a model makes of one input.

        Args:
            module: of the task, in evaluation mode; its settings say how to decode.
            given: a value of each kind in `Task.inputs`: texts, and paths of files.

        Raises UsageError: input that cannot be read.
        """


def text_of(given: Mapping[InputKind, Any], kind: InputKind) -> str:
    """A text that was given, composed as those of data sets are (NFC). Raises UsageError: one
    without words, or a book."""
    text = composed(str(given[kind]))
    if blank(text):
        raise UsageError("there are no words in it", where=f"--{kind}", remedy="give some text")
    if len(text) > LONGEST_TEXT:
        raise UsageError(
            f"{len(text):,} characters are too many",
            where=f"--{kind}",
            remedy=f"give at most {LONGEST_TEXT:,}",
        )
    return text


def file_of(given: Mapping[InputKind, Any], kind: InputKind) -> Path:
    """The path of a file that was given."""
    return Path(given[kind])


def unknown_words(words: Iterable[str]) -> tuple[str, ...]:
    """A note on words that a model does not know, if there are any."""
    unknown = list(dict.fromkeys(words))
    return (f"unknown to the model: {listed(unknown)}",) if unknown else ()

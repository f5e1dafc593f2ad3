"""What a speech data set is: utterances, their units and spans, and a reader for their sound.

Sound is never part of a corpus. An utterance names it and the corpus's reader fetches (or
synthesises) it, many utterances at a time, so that corpora larger than memory stay on disk and
nothing is read at all where the features are in the cache.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import numpy as np

Unit = Literal["phones", "characters", "words"]
Span = tuple[float, float]


@dataclass(frozen=True)
class Utterance:
    """One recording and what is said in it.

    Attributes:
        id: unique in its corpus.
        units: the T target symbols; a space between words is a symbol where they are characters.
        text: the transcript as people read it.
        speaker: who speaks; "" where nobody knows.
        seconds: duration.
        spans: begin and end in seconds of each unit, None where they are not known.
        sound: what the corpus's reader needs to fetch the sound (a path, clips, a recipe).
    """

    id: str
    units: tuple[str, ...]
    text: str
    speaker: str
    seconds: float
    spans: tuple[Span, ...] | None = None
    sound: Any = None

    def __post_init__(self) -> None:
        assert self.spans is None or len(self.spans) == len(self.units), self.id


class SoundReader(ABC):
    """Fetches the sound of utterances."""

    #: "waveforms": samples n, mono, about -1 to 1. "features": matrices frames,size.
    kind: ClassVar[Literal["waveforms", "features"]] = "waveforms"

    @abstractmethod
    def read(self, utterances: Sequence[Utterance]) -> list[np.ndarray]:
        """The sound of each utterance, float32, at the corpus's rate.

        Raises UsageError naming the file that cannot be read.
        """

    @abstractmethod
    def identity(self, utterance: Utterance) -> str:
        """A text that changes whenever the sound does. Cheap: no sound is read for it."""


@dataclass(frozen=True)
class SpeechCorpus:
    """A speech data set.

    Attributes:
        train, validation: utterances.
        tests: utterances by name of the test set; "test" is the first, "long" holds utterances
            longer than any in training.
        unit: what the target symbols are.
        symbols: all target symbols a model may write, sorted; those of the training data and
            any the data set declares.
        rate: samples a second of the waveforms, or frames a second of given features.
        reader: fetches the sound.
        notes: what a reader of the figures should know (resampled files, dropped lines, ...).
    """

    train: tuple[Utterance, ...]
    validation: tuple[Utterance, ...]
    tests: Mapping[str, tuple[Utterance, ...]]
    unit: Unit
    symbols: tuple[str, ...]
    rate: int
    reader: SoundReader
    notes: tuple[str, ...] = ()

    def parts(self) -> Iterator[tuple[str, tuple[Utterance, ...]]]:
        """Every split by name, in a fixed order: train, validation, the test sets."""
        yield "train", self.train
        yield "validation", self.validation
        yield from self.tests.items()

    def utterances(self) -> list[Utterance]:
        """All utterances, in the order of `parts`."""
        return [utterance for _, part in self.parts() for utterance in part]

    def limited(self, train: int = 0, test: int = 0) -> SpeechCorpus:
        """The first `train` training utterances and the first `test` of every test set; 0 is
        all."""
        return replace(
            self,
            train=self.train[:train] if train else self.train,
            tests={name: part[:test] if test else part for name, part in self.tests.items()},
        )


def split_text(text: str, unit: Unit) -> tuple[str, ...]:
    """The words or characters of a transcript; runs of white space count as one space."""
    words = text.split()
    return tuple(words) if unit == "words" else tuple(" ".join(words))


def join_units(units: Sequence[str], unit: Unit) -> str:
    """Units as people read them: the inverse of `split_text`."""
    return ("" if unit == "characters" else " ").join(units)


def symbols_of(utterances: Sequence[Utterance]) -> tuple[str, ...]:
    """The distinct target symbols, sorted."""
    return tuple(sorted({unit for utterance in utterances for unit in utterance.units}))


def unseen_note(
    symbols: Sequence[str], parts: Mapping[str, Sequence[Utterance]]
) -> tuple[str, ...]:
    """A note on symbols that a model can never write because training has none of them."""
    unseen = {unit for part in parts.values() for one in part for unit in one.units}
    unseen -= set(symbols)
    if not unseen:
        return ()
    shown = ", ".join(map(repr, sorted(unseen)[:5]))
    return (f"{len(unseen)} symbols of the test sets never occur in training ({shown})",)

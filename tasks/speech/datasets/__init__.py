"""What the speech data sets have in common: utterances with their units and spans, and a reader for
their sound.

Sound is never part of a corpus. An utterance names it and the corpus's reader fetches (or
synthesises) it, many utterances at a time, so that corpora larger than memory stay on disk and
nothing is read at all where the features are in the cache.
"""

from __future__ import annotations

import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np

from bench.errors import UsageError, blank
from tasks.base import Corpus
from tasks.data.lines import read_lines, unusable
from tasks.data.problems import Problem
from tasks.data.unicode import composed

#: A waveform whose samples all lie this near to one value is taken for silence.
SILENT = 1e-4
# Utterances whose sound is checked at once.
BLOCK = 256
#: Marks the further pronunciations of a word: "A(2)".
_VARIANT = re.compile(r"\(\d+\)$")

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

    @property
    def where(self) -> str:
        """The sound's file, or the utterance's name where it has none of its own."""
        return str(self.sound) if isinstance(self.sound, Path) else self.id

    def content(self) -> Iterator[str]:
        """Everything but the sound, which the corpus's reader has a text for (`identity`)."""
        yield repr((self.units, self.text, self.speaker, self.seconds, self.spans))


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
        """A text that changes whenever the sound does, wherever its files lie. No sound is decoded
        for it. Raises UsageError naming a file that cannot be read."""


@dataclass(frozen=True, kw_only=True)
class SpeechCorpus(Corpus[Utterance]):
    """Utterances by split; the test set "long" holds utterances longer than any in training.

    Attributes:
        unit: what the target symbols are.
        symbols: all target symbols a model may write, sorted: those of the training data and
            any the data set declares.
        rate: samples a second of the waveforms, or frames a second of given features.
        reader: fetches the sound.
    """

    unit: Unit
    symbols: tuple[str, ...]
    rate: int
    reader: SoundReader

    def content(self, example: Utterance) -> Iterator[str]:
        yield from example.content()
        yield self.reader.identity(example)

    def traits(self) -> Sequence[Any]:
        return (self.unit, self.symbols, self.rate)

    def problems(self) -> Iterator[Problem]:
        """Sounds that cannot be read, are silent, or are in two splits: all are read to the end."""
        first: dict[bytes, tuple[str, str]] = {}
        for split, utterances in self.splits.items():
            for low in range(0, len(utterances), BLOCK):
                block = utterances[low : low + BLOCK]
                sounds, unreadable = self._sounds(block)
                yield from (Problem.of(error, "unusable sound files") for error in unreadable)
                for utterance, sound in sounds:
                    where = utterance.where
                    if self.reader.kind == "waveforms" and np.ptp(sound) < 2 * SILENT:
                        yield Problem("nothing but silence", where, "silent sounds")
                    key = hashlib.sha256(sound.tobytes()).digest()
                    other, place = first.setdefault(key, (split, where))
                    if other != split:
                        yield Problem(
                            f"this sound of {split} is also in {other} ({place})",
                            where,
                            "sounds in two splits",
                        )

    def _sounds(
        self, block: Sequence[Utterance]
    ) -> tuple[list[tuple[Utterance, np.ndarray]], list[UsageError]]:
        """Some utterances with their sounds, and what is wrong where these cannot be read."""
        try:
            return list(zip(block, self.reader.read(block), strict=True)), []
        except UsageError as error:
            if len(block) == 1:
                return [], [error]
            # One by one, to find all that cannot be read.
            sounds, errors = zip(*(self._sounds([one]) for one in block), strict=True)
            return [*chain.from_iterable(sounds)], [*chain.from_iterable(errors)]


def split_text(text: str, unit: Unit) -> tuple[str, ...]:
    """The words or characters of a transcript; runs of white space count as one space."""
    words = text.split()
    return tuple(words) if unit == "words" else tuple(" ".join(words))


def target_units(
    text: str,
    unit: Unit,
    lexicon: Mapping[str, tuple[str, ...]],
    where: str,
    problems: list[Problem],
) -> tuple[str, ...]:
    """The units of a transcript, phones by a pronouncing dictionary. An empty transcript and one
    with a word that is not in the dictionary have none, and are added to `problems`."""
    words = text.split()
    if blank(text):
        problems.append(Problem("the transcript is empty", where, "empty transcripts"))
        return ()
    if reason := unusable(text):
        problems.append(Problem(f"the transcript {reason}", where, "unusable transcripts"))
        return ()
    if unit != "phones":
        return split_text(text, unit)
    unknown = next((word for word in words if word not in lexicon), None)
    if unknown is not None:
        what = f"'{unknown}' is not in the dictionary"
        problems.append(Problem(what, where, "words without phones"))
        return ()
    return tuple(phone for word in words for phone in lexicon[word])


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
    unseen = set(symbols_of([*chain.from_iterable(parts.values())])) - set(symbols)
    if not unseen:
        return ()
    shown = ", ".join(map(repr, sorted(unseen)[:5]))
    return (f"{len(unseen)} symbols of the test sets never occur in training ({shown})",)


def read_lexicon(path: Path) -> dict[str, tuple[str, ...]]:
    """A pronouncing dictionary, a word and its phones per line; a word's first entry counts.

    Raises UsageError: a missing file, a line without phones.
    """
    lexicon: dict[str, tuple[str, ...]] = {}
    for number, line in read_lines(path):
        word, *phones = composed(line).split() or [""]
        if not word:
            continue
        if not phones:
            raise UsageError(f"'{word}' has no phones", where=f"{path}:{number}")
        if not _VARIANT.search(word):
            lexicon.setdefault(word, tuple(phones))
    return lexicon

"""The generated sentences of translation: random ones, grown to an exact number of source words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, TypeVar

from tasks.translation import synthetic_grammar as lexicon
from tasks.translation.synthetic_grammar import Clause, Phrase, Relative, Sentence, Verb

T = TypeVar("T")

#: Source words of the shortest clause, "the farmer sleeps".
SHORTEST = 3


def grow(random: Random, length: int, noise: float) -> Sentence:
    """A sentence of exactly `length` source words.

    A shortest clause is extended step by step, by anything that still fits. With probability
    `noise` a step adds words that mean nothing instead.

    Args:
        length: at least `SHORTEST`.
    """
    assert length >= SHORTEST
    while True:
        sentence = _Growing(random, noise).fill(length)
        if sentence is not None:
            return sentence


def _pick(random: Random, things: Sequence[T]) -> T:
    # Only random() is promised to give the same numbers in every version of Python.
    return things[int(random.random() * len(things))]


@dataclass(frozen=True)
class _Step:
    """A way to extend a sentence: how many words it adds, how often it is tried, and the change,
    which says whether it was possible."""

    words: int
    weight: int
    apply: Callable[[_Growing], bool]


class _Growing:
    """A sentence being grown, with the places where it can still be extended."""

    def __init__(self, random: Random, noise: float) -> None:
        self.random, self.noise = random, noise
        self.phrases: list[Phrase] = []
        #: Phrases that may take a relative clause: those that are in none themselves.
        self.outer: list[Phrase] = []
        self.sentence = Sentence([])

    def fill(self, length: int) -> Sentence | None:
        """Grow to `length` words, or None where the last words could not be placed."""
        transitive = length >= SHORTEST + 2 and self.random.random() < 0.6
        self.clause(transitive)
        left = length - (SHORTEST + 2 if transitive else SHORTEST)
        for _ in range(50 + 10 * length):
            if left == 0:
                return self.sentence
            steps = _NOISE if self.random.random() < self.noise else _STEPS
            step = _pick(self.random, steps)
            if step.words <= left and step.apply(self):
                left -= step.words
        return None

    def phrase(self, *, outer: bool) -> Phrase:
        plural = self.random.random() < 0.35
        determiner = _pick(self.random, ("the", "the", "this") if plural else ("the", "a", "this"))
        phrase = Phrase(_pick(self.random, lexicon.NOUNS), plural, determiner)
        self.phrases.append(phrase)
        if outer:
            self.outer.append(phrase)
        return phrase

    def verb(self, transitive: bool) -> Verb:
        return _pick(self.random, lexicon.TRANSITIVE if transitive else lexicon.INTRANSITIVE)

    def clause(self, transitive: bool) -> bool:
        subject = self.phrase(outer=True)
        thing = self.phrase(outer=True) if transitive else None
        if self.sentence.clauses:
            self.sentence.conjunctions.append(_pick(self.random, lexicon.CONJUNCTIONS))
        self.sentence.clauses.append(Clause(subject, self.verb(transitive), thing))
        return True

    def give(self, things: Sequence[Any], part: str, draw: Callable[[], Any]) -> bool:
        """Give one of these phrases or clauses a part, unless it has such a part already."""
        thing = _pick(self.random, things)
        if getattr(thing, part):
            return False
        setattr(thing, part, draw())
        return True

    def adjective(self) -> bool:
        return self.give(self.phrases, "adjective", lambda: _pick(self.random, lexicon.ADJECTIVES))

    def adverb(self) -> bool:
        return self.give(
            self.sentence.clauses, "adverb", lambda: _pick(self.random, lexicon.ADVERBS)
        )

    def relative(self, transitive: bool) -> bool:
        def draw() -> Relative:
            thing = self.phrase(outer=False) if transitive else None
            return Relative(self.verb(transitive), thing)

        return self.give(self.outer, "relative", draw)

    def place(self) -> bool:
        return self.give(
            self.sentence.clauses,
            "place",
            lambda: (_pick(self.random, lexicon.PREPOSITIONS), self.phrase(outer=True)),
        )

    def marker(self, part: str) -> bool:
        """Put a clause into the future ("will"), or deny it ("never")."""
        return self.give(self.sentence.clauses, part, lambda: True)

    def filler(self) -> bool:
        self.sentence.fillers.append((_pick(self.random, lexicon.FILLERS), self.random.random()))
        return True

    def retract(self) -> bool:
        def draw() -> tuple[str, ...]:
            wrong = _pick(self.random, lexicon.NOUNS)
            plural = self.random.random() < 0.35
            return lexicon.THE.source, wrong.source_form(plural), lexicon.REPAIR

        return self.give(self.phrases, "retracted", draw)


def _weighted(*steps: _Step) -> tuple[_Step, ...]:
    return tuple(step for step in steps for _ in range(step.weight))


_STEPS = _weighted(
    _Step(1, 3, _Growing.adjective),
    _Step(1, 1, _Growing.adverb),
    _Step(1, 1, lambda growing: growing.marker("will")),
    _Step(1, 1, lambda growing: growing.marker("never")),
    _Step(2, 2, lambda growing: growing.relative(False)),
    _Step(4, 2, lambda growing: growing.relative(True)),
    _Step(3, 2, _Growing.place),
    _Step(1 + SHORTEST, 1, lambda growing: growing.clause(False)),
    _Step(1 + SHORTEST + 2, 3, lambda growing: growing.clause(True)),
)
_NOISE = _weighted(_Step(1, 2, _Growing.filler), _Step(3, 1, _Growing.retract))

"""The generated sentences of translation: random ones, grown to an exact number of source words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

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

    def adjective(self) -> bool:
        phrase = _pick(self.random, self.phrases)
        if phrase.adjective:
            return False
        phrase.adjective = _pick(self.random, lexicon.ADJECTIVES)
        return True

    def relative(self, transitive: bool) -> bool:
        phrase = _pick(self.random, self.outer)
        if phrase.relative:
            return False
        thing = self.phrase(outer=False) if transitive else None
        phrase.relative = Relative(self.verb(transitive), thing)
        return True

    def place(self) -> bool:
        clause = _pick(self.random, self.sentence.clauses)
        if clause.place:
            return False
        preposition = _pick(self.random, lexicon.PREPOSITIONS)
        clause.place = (preposition, self.phrase(outer=True))
        return True

    def adverb(self) -> bool:
        clause = _pick(self.random, self.sentence.clauses)
        if clause.adverb:
            return False
        clause.adverb = _pick(self.random, lexicon.ADVERBS)
        return True

    def will(self) -> bool:
        clause = _pick(self.random, self.sentence.clauses)
        possible, clause.will = not clause.will, True
        return possible

    def never(self) -> bool:
        clause = _pick(self.random, self.sentence.clauses)
        possible, clause.never = not clause.never, True
        return possible

    def filler(self) -> bool:
        self.sentence.fillers.append((_pick(self.random, lexicon.FILLERS), self.random.random()))
        return True

    def retract(self) -> bool:
        phrase = _pick(self.random, self.phrases)
        if phrase.retracted:
            return False
        wrong = _pick(self.random, lexicon.NOUNS)
        plural = self.random.random() < 0.35
        phrase.retracted = (lexicon.THE.source, wrong.source_form(plural), lexicon.REPAIR)
        return True


def _weighted(*steps: _Step) -> tuple[_Step, ...]:
    return tuple(step for step in steps for _ in range(step.weight))


_STEPS = _weighted(
    _Step(1, 3, _Growing.adjective),
    _Step(1, 1, _Growing.adverb),
    _Step(1, 1, _Growing.will),
    _Step(1, 1, _Growing.never),
    _Step(2, 2, lambda growing: growing.relative(False)),
    _Step(4, 2, lambda growing: growing.relative(True)),
    _Step(3, 2, _Growing.place),
    _Step(1 + SHORTEST, 1, lambda growing: growing.clause(False)),
    _Step(1 + SHORTEST + 2, 3, lambda growing: growing.clause(True)),
)
_NOISE = _weighted(_Step(1, 2, _Growing.filler), _Step(3, 1, _Growing.retract))

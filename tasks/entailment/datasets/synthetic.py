"""The embedded entailment data: generated pairs whose labels follow from rules.

A premise makes one claim about each of several places; the hypothesis makes a claim about one of
them. A reader has to find that clause (attention) and to compare two claims (logic): quantifiers,
negation, a taxonomy, modifiers. The rules:

- Every hypothesis comes three times, once with each label, so that it says nothing of its label.
- The claims that decide differ from it in equally many roles, and the three premises have equally
  many clauses. Some clauses are near variants of the hypothesis that hold elsewhere. So overlap of
  words says little.
- No pair occurs twice, in whatever part.
- In a small share of the hypotheses the labels are exchanged among the three, as annotators err.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import combinations, product
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field, model_validator

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions, datasets
from tasks.entailment.datasets import LABELS, EntailmentCorpus, Label, PairExample
from tasks.entailment.synthetic import (
    FORMS,
    LEXICONS,
    Clause,
    Lexicon,
    Size,
    Statement,
    Term,
    clause,
    denies,
    relation,
)
from tasks.probe_parts import ProbePart, probe_parts, unseen

#: Shares of pairs that differ in one and in two roles.
_EDITS = (0.8, 0.2)
_SEPARATOR = ","

Words = tuple[str, ...]


class ProbeOptions(DatasetOptions):
    """Knobs of the generator."""

    clauses: int = Field(
        3,
        ge=1,
        description="most claims of a premise; those of the test set 'long' have twice as many",
    )
    lexicon: Size = Field("small", description="how many words there are for each role")
    near: float = Field(
        0.4,
        ge=0,
        le=1,
        description="share of the other claims that are near variants of the hypothesis; the rest"
        " is about others",
    )
    negation: float = Field(0.05, ge=0, le=1, description="share of claims with 'no' or 'do not'")
    noise: float = Field(
        0.03, ge=0, le=1, description="share of hypotheses whose three labels are exchanged"
    )
    train_size: int = Field(9000, ge=3, description="training pairs, rounded up to threes")
    validation_size: int = Field(450, ge=3, description="validation pairs")
    test_size: int = Field(900, ge=3, description="pairs of each test set")
    data_seed: int = Field(1, ge=0, description="seed of the generator")

    @model_validator(mode="after")
    def _places(self) -> ProbeOptions:
        places = len(LEXICONS[self.lexicon].places)
        if 2 * self.clauses > places:
            raise ValueError(f"the {self.lexicon} lexicon has places for {places // 2} clauses")
        return self


@datasets("entailment").register("probe")
class Probe(Dataset[EntailmentCorpus]):
    """Generated pairs with word alignments."""

    name: ClassVar[str] = "probe"
    summary: ClassVar[str] = (
        "generated claims with quantifiers, negation and a taxonomy; one of several clauses decides"
    )
    external: ClassVar[bool] = False
    gold: ClassVar[bool] = True
    Options: ClassVar[type[DatasetOptions]] = ProbeOptions

    @classmethod
    def load(cls, options: DatasetOptions, data_root: Path | None) -> EntailmentCorpus:
        """Generate the corpus; the same options give the same bytes."""
        assert isinstance(options, ProbeOptions)
        return generate(options)


# A warm worker tests many cells on the same texts.
@lru_cache(maxsize=1)
def generate(options: ProbeOptions) -> EntailmentCorpus:
    """All parts of the probe. Raises UsageError if more pairs are asked for than there can be."""
    most = options.clauses
    parts = probe_parts(
        options.train_size,
        options.validation_size,
        options.test_size,
        within=(1, most),
        long=(max(2 * most - 1, most + 1), 2 * most),
    )
    seen: set[Hashable] = set()
    made = {part.name: tuple(_pairs(part, options, seen)) for part in parts}
    return EntailmentCorpus(
        train=made["train"],
        validation=made["validation"],
        tests={"test": made["test"], "long": made["long"]},
        notes=(
            f"probe: 1 to {most} claims a premise, {parts[1].fewest} to {parts[1].most} in 'long';"
            f" the labels of {options.noise:.0%} of the hypotheses are exchanged",
        ),
    )


def _pairs(part: ProbePart, options: ProbeOptions, seen: set[Hashable]) -> Iterator[PairExample]:
    rng = random.Random(f"entailment probe {options.data_seed} {part.name}")
    exhausted = UsageError(
        f"there are no {part.size} different pairs with up to {part.most} claims",
        where=f"entailment probe, part '{part.name}'",
        remedy="ask for fewer pairs or more clauses",
    )
    triples = unseen(
        -(-part.size // len(LABELS)),
        lambda: _triple(rng, part, options),
        lambda pairs: map(_texts, pairs),
        seen,
        exhausted,
    )
    for number, triple in enumerate(triples):
        for pair in triple:
            yield replace(pair, id=f"{part.name}-{number}-{pair.id}")


def _texts(pair: PairExample) -> tuple[Words, Words]:
    return pair.premise, pair.hypothesis


def _triple(rng: random.Random, part: ProbePart, options: ProbeOptions) -> list[PairExample]:
    """One hypothesis with a premise for each label; the id is the label the rules give."""
    hypothesis, targets = _comparable(rng, options)
    lexicon = LEXICONS[options.lexicon]
    place, clauses = rng.choice(lexicon.places), rng.randint(part.fewest, part.most)
    shown = list(LABELS)
    if rng.random() < options.noise:
        rng.shuffle(shown)
    triple = []
    for right, label in zip(LABELS, shown, strict=True):
        claims = [_other(rng, hypothesis, options) for _ in range(clauses - 1)]
        places = rng.sample([other for other in lexicon.places if other != place], clauses - 1)
        at = rng.randrange(clauses)
        claims.insert(at, rng.choice(targets[right]))
        places.insert(at, place)
        written = list(map(clause, places, claims))
        pair = _pair(clause(place, hypothesis), written, at)
        triple.append(replace(pair, id=right, label=label))
    return triple


def _comparable(
    rng: random.Random, options: ProbeOptions
) -> tuple[Statement, dict[Label, list[Statement]]]:
    """A hypothesis with its premises by label, all equally near. Some hypotheses have none:
    "no animals move" follows from no claim that differs from it in one role only."""
    while True:
        hypothesis = _statement(rng, options)
        edits = rng.choices((1, 2), _EDITS)[0]
        targets = _neighbours(hypothesis, edits, options.lexicon, options.negation > 0)
        if all(targets.values()):
            return hypothesis, targets


def _pair(asked: Clause, clauses: list[Clause], at: int) -> PairExample:
    """The words of a pair whose clause number `at` decides; id and label are the caller's."""
    premise: list[str] = []
    begin = 0
    for number, written in enumerate(clauses):
        premise += [_SEPARATOR] if number else []
        begin = len(premise) if number == at else begin
        premise += written.words
    return PairExample("", tuple(premise), asked.words, None, _links(asked, clauses[at], begin))


def _links(asked: Clause, answer: Clause, begin: int) -> tuple[tuple[int, int], ...]:
    """Words with the same role belong together; the answer's first word is premise word `begin`."""
    by_role = {role: place for place, role in enumerate(answer.roles) if role is not None}
    return tuple(
        (word, begin + by_role[role]) for word, role in enumerate(asked.roles) if role in by_role
    )


# All clauses of a triple ask for the same one's.
@lru_cache(maxsize=2)
def _neighbours(
    hypothesis: Statement, edits: int, lexicon: Size, denial: bool
) -> dict[Label, list[Statement]]:
    return neighbours(hypothesis, edits, LEXICONS[lexicon], denial=denial)


def neighbours(
    hypothesis: Statement, edits: int, lexicon: Lexicon, *, denial: bool
) -> dict[Label, list[Statement]]:
    """The statements that differ from a hypothesis in exactly so many roles, by the label that
    they give it as premises.

    The roles: quantifier with negation, adjective, subject, verb, adverb; subject and verb stay
    in their families. Without `denial` no statement denies its verb.
    """
    subject, predicate = hypothesis.subject, hypothesis.predicate
    roles: list[tuple[object, list[Any]]] = [
        (
            (hypothesis.quantifier, hypothesis.negated),
            [form for form in FORMS if denial or not denies(form)],
        ),
        (subject.modifier, list(lexicon.adjectives)),
        (subject.head, lexicon.nouns.related(subject.head)),
        (predicate.head, list(lexicon.verbs.parents)),
        (predicate.modifier, list(lexicon.adverbs)),
    ]
    found: dict[Label, list[Statement]] = {label: [] for label in LABELS}
    for changed in combinations(range(len(roles)), edits):
        choices = [
            [value for value in values if value != own] if role in changed else [own]
            for role, (own, values) in enumerate(roles)
        ]
        for (quantifier, negated), adjective, noun, verb, adverb in product(*choices):
            other = Statement(quantifier, Term(noun, adjective), Term(verb, adverb), negated)
            found[relation(other, hypothesis, lexicon.nouns, lexicon.verbs)].append(other)
    return found


def _other(rng: random.Random, hypothesis: Statement, options: ProbeOptions) -> Statement:
    """A claim about another place: a near variant of the hypothesis, or one about others."""
    lexicon = LEXICONS[options.lexicon]
    if rng.random() < options.near:
        near = _neighbours(hypothesis, 1, options.lexicon, options.negation > 0)
        return rng.choice(near[rng.choice([label for label in LABELS if near[label]])])
    family = lexicon.nouns.related(hypothesis.subject.head)
    while True:
        other = _statement(rng, options)
        if other.subject.head not in family:
            return other


def _statement(rng: random.Random, options: ProbeOptions) -> Statement:
    lexicon = LEXICONS[options.lexicon]
    denied = rng.random() < options.negation
    quantifier, negated = rng.choice([form for form in FORMS if denies(form) == denied])
    subject = Term(rng.choice(list(lexicon.nouns.parents)), rng.choice(lexicon.adjectives))
    predicate = Term(rng.choice(list(lexicon.verbs.parents)), rng.choice(lexicon.adverbs))
    return Statement(quantifier, subject, predicate, negated)

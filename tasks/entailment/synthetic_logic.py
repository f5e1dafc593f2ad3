"""Entailment and contradiction between quantified statements.

Statements of the form "Q subjects are P": the subject a set of things, the predicate a set or its
complement. Sets are ordered by inclusion (small dogs < dogs < animals). Quantifiers are monotone
in their arguments (Barwise and Cooper 1981), which is all that `relation` uses; every set named
by a subject is taken to be non-empty, as speakers do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from tasks.entailment.datasets import Label

Quantifier = Literal["all", "most", "some", "no"]

# Rank of the quantifiers in what they claim of one and the same set.
_STRENGTH: Mapping[str, int] = {"some": 0, "most": 1, "all": 2}


class Order(Enum):
    """Relation of a first set to a second one."""

    EQUAL = "equal"
    INSIDE = "inside"
    AROUND = "around"
    APART = "nothing in common"
    UNRELATED = "neither contains or excludes the other"


@dataclass(frozen=True, slots=True)
class Term:
    """A noun or verb with at most one modifier that narrows it: "small dogs", "run outside"."""

    head: str
    modifier: str | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """ "Q subject predicate"; `negated` for "Q subject do not predicate" (never with "no")."""

    quantifier: Quantifier
    subject: Term
    predicate: Term
    negated: bool = False


@dataclass(frozen=True)
class Taxonomy:
    """Heads by the more general head they belong to; most general heads map to None.

    Heads of one level under different parents, and the parents themselves, have nothing in
    common; under one parent they are unrelated if `overlapping`, else have nothing in common.
    """

    parents: Mapping[str, str | None]
    overlapping: bool

    def order(self, first: Term, second: Term) -> Order:
        """Relation of the set of one term to that of another."""
        heads = self._heads(first.head, second.head)
        modifiers = _modifiers(first.modifier, second.modifier)
        if heads is Order.EQUAL:
            return modifiers
        alike = heads is Order.APART or modifiers in (Order.EQUAL, heads)
        return heads if alike else Order.UNRELATED

    def related(self, head: str) -> list[str]:
        """All heads in the family of this one, itself included, in the taxonomy's order."""
        root = self.parents[head] or head
        return [other for other, parent in self.parents.items() if root in (other, parent)]

    def _heads(self, first: str, second: str) -> Order:
        if first == second:
            return Order.EQUAL
        if self.parents[first] == second:
            return Order.INSIDE
        if self.parents[second] == first:
            return Order.AROUND
        siblings = self.parents[first] is not None and self.parents[first] == self.parents[second]
        return Order.UNRELATED if siblings and self.overlapping else Order.APART


def _modifiers(first: str | None, second: str | None) -> Order:
    if first == second:
        return Order.EQUAL
    if second is None:
        return Order.INSIDE
    return Order.AROUND if first is None else Order.UNRELATED


def relation(premise: Statement, hypothesis: Statement, nouns: Taxonomy, verbs: Taxonomy) -> Label:
    """The label of a pair of statements about the same place and time."""
    subject = nouns.order(premise.subject, hypothesis.subject)
    predicate = _signed_order(premise, hypothesis, verbs)
    first, second = _positive(premise.quantifier), _positive(hypothesis.quantifier)
    if predicate in (Order.EQUAL, Order.INSIDE) and _carries(first, second, subject):
        return "entailment"
    if predicate is Order.APART and _clashes(first, second, subject):
        return "contradiction"
    return "neutral"


def _positive(quantifier: Quantifier) -> str:
    # "No dogs run" says of all dogs that they do not run.
    return "all" if quantifier == "no" else quantifier


def _signed_order(premise: Statement, hypothesis: Statement, verbs: Taxonomy) -> Order:
    """Order of the predicates, complements included where a statement denies its verb."""
    denies_first = premise.negated or premise.quantifier == "no"
    denies_second = hypothesis.negated or hypothesis.quantifier == "no"
    plain = verbs.order(premise.predicate, hypothesis.predicate)
    if not denies_first and not denies_second:
        return plain
    if denies_first and denies_second:
        # Complements lie the other way round; that sets exclude each other says nothing of them.
        turned = {Order.INSIDE: Order.AROUND, Order.AROUND: Order.INSIDE, Order.EQUAL: Order.EQUAL}
        return turned.get(plain, Order.UNRELATED)
    # Inside what is denied means apart from its complement, and the other way round.
    narrower = Order.INSIDE if denies_second else Order.AROUND
    if plain in (Order.EQUAL, narrower):
        return Order.APART
    return narrower if plain is Order.APART else Order.UNRELATED


def _carries(first: str, second: str, subject: Order) -> bool:
    """Whether "first S1 are P" gives "second S2 are P"."""
    if subject is Order.EQUAL:
        return _STRENGTH[first] >= _STRENGTH[second]
    if subject is Order.AROUND:
        return first == "all"
    return subject is Order.INSIDE and second == "some"


def _clashes(first: str, second: str, subject: Order) -> bool:
    """Whether "first S1 are P" and "second S2 are not P" cannot both be true."""
    if subject is Order.EQUAL:
        # Two majorities of one set share a member; "some" only clashes with "all".
        return _STRENGTH[first] + _STRENGTH[second] >= 2
    if subject is Order.AROUND:
        return first == "all"
    return subject is Order.INSIDE and second == "all"

"""The rules of the logic against what they claim: every finite model of up to two things a kind."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tasks.entailment.synthetic import FORMS, LEXICONS
from tasks.entailment.synthetic_logic import Order, Statement, Taxonomy, Term, relation

# Pairs of terms that lie to each other in every order there is, in either taxonomy.
TAXONOMY = {"a": None, "b": "a", "c": "a", "x": None, "y": "x"}
NOUNS = Taxonomy(TAXONOMY, overlapping=False)
VERBS = Taxonomy(TAXONOMY, overlapping=True)
TERMS = {
    Order.EQUAL: (Term("b"), Term("b")),
    Order.INSIDE: (Term("b"), Term("a")),
    Order.AROUND: (Term("a"), Term("b")),
    Order.APART: (Term("b"), Term("x")),
    Order.UNRELATED: (Term("b", "old"), Term("b", "big")),
}
# What a thing may be a member of: (the first set, the second set).
MEMBERSHIPS = {
    Order.EQUAL: [(0, 0), (1, 1)],
    Order.INSIDE: [(0, 0), (0, 1), (1, 1)],
    Order.AROUND: [(0, 0), (1, 0), (1, 1)],
    Order.APART: [(0, 0), (0, 1), (1, 0)],
    Order.UNRELATED: [(0, 0), (0, 1), (1, 0), (1, 1)],
}


def truth(quantifier: str, negated: bool, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
    """Whether "Q S are P" holds, from the numbers of S that are P and that are not."""
    if negated:
        inside, outside = outside, inside
    return {
        "all": outside == 0,
        "most": inside > outside,
        "some": inside > 0,
        "no": inside == 0,
    }[quantifier]


@pytest.mark.parametrize("nouns", Order, ids=lambda order: order.name)
@pytest.mark.parametrize("verbs", Order, ids=lambda order: order.name)
def test_relation_agrees_with_every_small_model(nouns: Order, verbs: Order) -> None:
    # Things that belong to neither subject decide nothing.
    kinds = [
        (subject, predicate)
        for subject in MEMBERSHIPS[nouns]
        for predicate in MEMBERSHIPS[verbs]
        if any(subject)
    ]
    counts = np.array(list(product((0, 1, 2), repeat=len(kinds))), dtype=np.int8)  # models, kinds

    def number(side: int, holds: bool) -> np.ndarray:
        chosen = [subject[side] == 1 and predicate[side] == holds for subject, predicate in kinds]
        return counts[:, chosen].sum(axis=1)

    sizes = [(number(side, True), number(side, False)) for side in (0, 1)]
    spoken_of = np.logical_and(*(inside + outside > 0 for inside, outside in sizes))
    sides = [
        {form: truth(*form, *(size[spoken_of] for size in sizes[side])) for form in FORMS}
        for side in (0, 1)
    ]
    for (first, premise), (second, hypothesis) in product(sides[0].items(), sides[1].items()):
        follows = hypothesis[premise]
        expected = (
            "entailment" if follows.all() else "neutral" if follows.any() else "contradiction"
        )
        statements = [
            Statement(quantifier, TERMS[nouns][side], TERMS[verbs][side], negated)
            for side, (quantifier, negated) in enumerate((first, second))
        ]
        assert relation(*statements, NOUNS, VERBS) == expected, (first, second)


@pytest.mark.parametrize("order", Order, ids=lambda order: order.name)
def test_the_terms_lie_as_the_models_assume(order: Order) -> None:
    assert NOUNS.order(*TERMS[order]) is order
    assert VERBS.order(*TERMS[order]) is order


def test_modifiers_narrow_and_siblings_differ_by_taxonomy() -> None:
    assert NOUNS.order(Term("b", "old"), Term("a")) is Order.INSIDE
    assert NOUNS.order(Term("b"), Term("a", "old")) is Order.UNRELATED
    assert NOUNS.order(Term("b", "old"), Term("a", "old")) is Order.INSIDE
    assert NOUNS.order(Term("b"), Term("c")) is Order.APART
    assert VERBS.order(Term("b"), Term("c")) is Order.UNRELATED


@pytest.mark.parametrize("size", LEXICONS)
def test_lexicons_use_every_word_once(size: str) -> None:
    lexicon = LEXICONS[size]
    words = [
        *lexicon.nouns.parents,
        *lexicon.verbs.parents,
        *filter(None, lexicon.adjectives),
        *filter(None, lexicon.adverbs),
        *lexicon.places,
        *("all", "most", "some", "no", "not", "do", "in"),
    ]
    assert len(words) == len(set(words))
    parents = {**lexicon.nouns.parents, **lexicon.verbs.parents}
    assert all(parent is None or parents[parent] is None for parent in parents.values())

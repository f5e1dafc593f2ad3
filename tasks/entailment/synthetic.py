"""The generated pairs of entailment, whose labels follow from rules (`synthetic_logic`).

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

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations, product
from random import Random
from typing import Any, Literal

from tasks.entailment.datasets import LABELS, Label, PairExample
from tasks.entailment.synthetic_logic import Quantifier, Statement, Taxonomy, Term, relation

#: Shares of pairs that differ in one and in two roles.
_EDITS = (0.8, 0.2)
_SEPARATOR = ","

# The words: two lexicons, and claims written out with the role of each word.

Size = Literal["small", "large"]

#: Quantifier and whether the verb is denied. "All do not" is left to "no": it is ambiguous.
FORMS: tuple[tuple[Quantifier, bool], ...] = (
    ("all", False),
    ("most", False),
    ("some", False),
    ("no", False),
    ("most", True),
    ("some", True),
)


@dataclass(frozen=True)
class Lexicon:
    """The words of claims. None among modifiers stands for a claim without one."""

    nouns: Taxonomy
    verbs: Taxonomy
    adjectives: tuple[str | None, ...]
    adverbs: tuple[str | None, ...]
    places: tuple[str, ...]


def _family(general: str, *special: str) -> dict[str, str | None]:
    return {general: None, **dict.fromkeys(special, general)}


# Whoever runs may jump at the same time, but nobody moves and rests at once; hence `overlapping`
# for verbs, whose families exclude each other all the same.
LEXICONS: Mapping[Size, Lexicon] = {
    "small": Lexicon(
        nouns=Taxonomy(
            _family("animals", "dogs", "cats")
            | _family("workers", "nurses", "pilots")
            | _family("children", "boys", "girls"),
            overlapping=False,
        ),
        verbs=Taxonomy(
            _family("move", "run", "jump") | _family("rest", "sleep", "sit"), overlapping=True
        ),
        adjectives=(None, "small", "old"),
        adverbs=(None,),
        places=("accra", "cairo", "hanoi", "kyoto", "lima", "oslo", "paris", "quito"),
    ),
    "large": Lexicon(
        nouns=Taxonomy(
            _family("animals", "dogs", "cats", "horses", "goats")
            | _family("workers", "nurses", "pilots", "farmers", "bakers")
            | _family("children", "boys", "girls")
            | _family("musicians", "drummers", "singers", "pianists"),
            overlapping=False,
        ),
        verbs=Taxonomy(
            _family("move", "run", "jump", "dance", "swim")
            | _family("rest", "sleep", "sit", "lean", "kneel"),
            overlapping=True,
        ),
        adjectives=(None, "small", "old", "loud", "happy"),
        adverbs=(None, "outside", "together", "quietly"),
        places=(
            *("accra", "bogota", "cairo", "dakar", "hanoi", "kyoto", "lagos", "lima"),
            *("minsk", "nairobi", "oslo", "paris", "quito", "riga", "seoul", "tunis"),
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class Clause:
    """A statement about a place, in words.

    Attributes:
        words: "in oslo most small dogs do not run outside".
        roles: what each word is for ("place", "subject", ...); None for words that carry nothing.
    """

    words: tuple[str, ...]
    roles: tuple[str | None, ...]


def clause(place: str, statement: Statement) -> Clause:
    """The words of a statement. Roles are unique within a clause."""
    subject, predicate = statement.subject, statement.predicate
    parts: list[tuple[str | None, str | None]] = [
        ("in", None),
        (place, "place"),
        (statement.quantifier, "quantifier"),
        (subject.modifier, "adjective"),
        (subject.head, "subject"),
        ("do" if statement.negated else None, None),
        ("not" if statement.negated else None, "negation"),
        (predicate.head, "verb"),
        (predicate.modifier, "adverb"),
    ]
    said = [(word, role) for word, role in parts if word is not None]
    return Clause(tuple(word for word, _ in said), tuple(role for _, role in said))


def denies(form: tuple[Quantifier, bool]) -> bool:
    """Whether a form denies its verb, by "no" or by "do not"."""
    return form[1] or form[0] == "no"


@dataclass(frozen=True)
class PairWriter:
    """Writes random pairs, three at a time.

    Attributes:
        lexicon: how many words there are for each role.
        near: share of the other claims that are near variants of the hypothesis.
        negation: share of claims with "no" or "do not".
        noise: share of hypotheses whose three labels are exchanged.
    """

    lexicon: Size
    near: float
    negation: float
    noise: float

    def triple(self, rng: Random, fewest: int, most: int) -> list[PairExample]:
        """One hypothesis with a premise for each label; the id is the label the rules give."""
        hypothesis, targets = self._comparable(rng)
        lexicon = LEXICONS[self.lexicon]
        place, clauses = rng.choice(lexicon.places), rng.randint(fewest, most)
        shown = list(LABELS)
        if rng.random() < self.noise:
            rng.shuffle(shown)
        triple = []
        for right, label in zip(LABELS, shown, strict=True):
            claims = [self._other(rng, hypothesis) for _ in range(clauses - 1)]
            places = rng.sample([other for other in lexicon.places if other != place], clauses - 1)
            at = rng.randrange(clauses)
            claims.insert(at, rng.choice(targets[right]))
            places.insert(at, place)
            written = list(map(clause, places, claims))
            pair = _pair(clause(place, hypothesis), written, at)
            triple.append(replace(pair, id=right, label=label))
        return triple

    def _comparable(self, rng: Random) -> tuple[Statement, dict[Label, list[Statement]]]:
        """A hypothesis with its premises by label, all equally near. Some hypotheses have none:
        "no animals move" follows from no claim that differs from it in one role only."""
        while True:
            hypothesis = self._statement(rng)
            edits = rng.choices((1, 2), _EDITS)[0]
            targets = neighbours(hypothesis, edits, self.lexicon, self.negation > 0)
            if all(targets.values()):
                return hypothesis, targets

    def _other(self, rng: Random, hypothesis: Statement) -> Statement:
        """A claim about another place: a near variant of the hypothesis, or one about others."""
        lexicon = LEXICONS[self.lexicon]
        if rng.random() < self.near:
            near = neighbours(hypothesis, 1, self.lexicon, self.negation > 0)
            return rng.choice(near[rng.choice([label for label in LABELS if near[label]])])
        family = lexicon.nouns.related(hypothesis.subject.head)
        while True:
            other = self._statement(rng)
            if other.subject.head not in family:
                return other

    def _statement(self, rng: Random) -> Statement:
        lexicon = LEXICONS[self.lexicon]
        denied = rng.random() < self.negation
        quantifier, negated = rng.choice([form for form in FORMS if denies(form) == denied])
        subject = Term(rng.choice(list(lexicon.nouns.parents)), rng.choice(lexicon.adjectives))
        predicate = Term(rng.choice(list(lexicon.verbs.parents)), rng.choice(lexicon.adverbs))
        return Statement(quantifier, subject, predicate, negated)


def _pair(asked: Clause, clauses: list[Clause], at: int) -> PairExample:
    """The words of a pair whose clause number `at` decides; id and label are the caller's."""
    premise: list[str] = []
    begin = 0
    for number, written in enumerate(clauses):
        premise += [_SEPARATOR] if number else []
        begin = len(premise) if number == at else begin
        premise += written.words
    # Words with the same role belong together.
    answer = {role: begin + place for place, role in enumerate(clauses[at].roles) if role}
    links = tuple((word, answer[role]) for word, role in enumerate(asked.roles) if role in answer)
    return PairExample("", tuple(premise), asked.words, None, links)


# All clauses of a triple ask for the same one's.
@lru_cache(maxsize=2)
def neighbours(
    hypothesis: Statement, edits: int, size: Size, denial: bool
) -> dict[Label, list[Statement]]:
    """The statements that differ from a hypothesis in exactly `edits` roles, by the label that
    they give it as premises.

    The roles: quantifier with negation, adjective, subject, verb, adverb; subject and verb stay
    in their families. Without `denial` no statement denies its verb.
    """
    lexicon, subject, predicate = LEXICONS[size], hypothesis.subject, hypothesis.predicate
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

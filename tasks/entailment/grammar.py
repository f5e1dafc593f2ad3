"""The words of the probe: two lexicons, and claims written out with the role of each word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tasks.entailment.logic import Quantifier, Statement, Taxonomy

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
    """What claims are made of. None among modifiers stands for a claim without one."""

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

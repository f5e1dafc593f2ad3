"""The synchronous grammar of the generated sentences: one structure, written out in both languages.

What a translator has to cope with, and what each costs a mechanism that cannot look back:
verbs move to the end of their clause and relative clauses before their noun (reordering over any
distance); articles, adjectives, verbs and relative markers agree with the class of a noun that may
stand far off; compounds and "never" are two words, the latter apart from each other; "a", fillers
and taken-back words have no counterpart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain

from tasks.translation.datasets import Links

# The words of the two languages.
#
# The source is a small controlled English, so that people can read the pictures. The target is
# invented: verbs close their clause, modifiers follow their noun, and whatever belongs to a noun
# takes the vowel of the noun's class. Forms are listed or formed here, nothing is drawn.


@dataclass(frozen=True)
class Inflected:
    """A word with number in the source, and its stem in the target."""

    singular: str
    plural: str
    target: str

    def source_form(self, plural: bool) -> str:
        return self.plural if plural else self.singular


@dataclass(frozen=True)
class Noun(Inflected):
    """A noun. Its class cannot be told from its form, it has to be learned.

    `first` is the first half of those nouns that are two words in the target.
    """

    kind: int
    first: str | None = None

    def target_form(self, plural: bool) -> str:
        return f"{self.target}{'ru' if plural else ''}"


@dataclass(frozen=True)
class Verb(Inflected):
    """A verb; the target form agrees with the class of its subject."""

    transitive: bool

    def target_form(self, kind: int) -> str:
        return self.target + ENDINGS[kind]


@dataclass(frozen=True)
class Word:
    """A word other than nouns and verbs that has a counterpart."""

    source: str
    target: str

    def agreeing(self, kind: int) -> str:
        return self.target + ENDINGS[kind]


#: Vowel of each noun class on articles, demonstratives, adjectives, verbs, relative markers.
ENDINGS = ("a", "i", "o")

NOUNS = (
    Noun("farmer", "farmers", "tolep", 0),
    Noun("child", "children", "mirek", 1),
    Noun("bird", "birds", "sanub", 2),
    Noun("teacher", "teachers", "dovim", 1),
    Noun("dog", "dogs", "kelat", 2),
    Noun("doctor", "doctors", "banos", 0),
    Noun("king", "kings", "ruhet", 2),
    Noun("horse", "horses", "pimal", 0),
    Noun("sailor", "sailors", "gused", 1),
    Noun("book", "books", "vatik", 0),
    Noun("letter", "letters", "hesob", 1),
    Noun("garden", "gardens", "lonum", 2),
    Noun("bridge", "bridges", "zigar", 1),
    Noun("river", "rivers", "tubel", 2),
    Noun("train", "trains", "sibod", 0, "ferum"),
    Noun("library", "libraries", "hamet", 1, "vatun"),
    Noun("lighthouse", "lighthouses", "turiv", 2, "lumek"),
    Noun("windmill", "windmills", "molag", 0, "vened"),
)

VERBS = (
    Verb("sees", "see", "vid", True),
    Verb("follows", "follow", "sek", True),
    Verb("helps", "help", "jut", True),
    Verb("finds", "find", "nap", True),
    Verb("likes", "like", "gus", True),
    Verb("draws", "draw", "pik", True),
    Verb("sleeps", "sleep", "dor", False),
    Verb("waits", "wait", "mon", False),
    Verb("sings", "sing", "kan", False),
    Verb("falls", "fall", "lap", False),
)
TRANSITIVE = tuple(verb for verb in VERBS if verb.transitive)
INTRANSITIVE = tuple(verb for verb in VERBS if not verb.transitive)

ADJECTIVES = (
    Word("old", "vetul"),
    Word("small", "minut"),
    Word("red", "rubek"),
    Word("quiet", "silen"),
    Word("young", "novel"),
    Word("strange", "mirab"),
    Word("tall", "altum"),
    Word("tired", "fesul"),
)
THE = Word("the", "k")
#: Has no counterpart; plural nouns then stand alone.
A = "a"
DEMONSTRATIVES = {False: Word("this", "h"), True: Word("these", "hur")}
THAT = Word("that", "z")
PREPOSITIONS = (Word("near", "apud"), Word("with", "kum"), Word("behind", "retro"))
ADVERBS = (Word("today", "hodi"), Word("often", "sepe"), Word("slowly", "lente"))
WILL = Word("will", "fut")
NEVER = "never"
#: "never" is two words: one before the verb, one closing the clause.
NOT_BEFORE, NOT_AFTER = "ne", "pas"
CONJUNCTIONS = (Word("and", "et"), Word("but", "sed"), Word("because", "nam"))

#: Said without meaning anything; dropped.
FILLERS = ("well", "indeed", "please", "er")
#: Takes back the words before it, as in "the dogs sorry the birds sleep".
REPAIR = "sorry"


# A written word with the meaning it stands for; words of both languages with the same meaning are
# linked. None: no counterpart.
Meaning = tuple[int, str]
Written = Iterator[tuple[str, Meaning | None]]


@dataclass
class Phrase:
    """A noun phrase. `determiner` is "the", "a" or "this"; `retracted` was said by mistake."""

    noun: Noun
    plural: bool
    determiner: str
    adjective: Word | None = None
    relative: Relative | None = None
    retracted: tuple[str, ...] = ()


@dataclass
class Relative:
    """A clause without its subject, which is the noun it belongs to."""

    verb: Verb
    object: Phrase | None = None


@dataclass
class Clause:
    subject: Phrase
    verb: Verb
    object: Phrase | None = None
    place: tuple[Word, Phrase] | None = None
    adverb: Word | None = None
    will: bool = False
    never: bool = False


@dataclass
class Sentence:
    """Clauses joined by conjunctions, one fewer. `fillers` are (word, place in 0..1)."""

    clauses: list[Clause]
    conjunctions: list[Word] = field(default_factory=list)
    fillers: list[tuple[str, float]] = field(default_factory=list)


@dataclass(frozen=True)
class Order:
    """The words that reorder: the rest keeps the order of the source. Decided per word, so that a
    translation follows from the sentence alone whatever the share."""

    verbs: frozenset[Verb]
    modifiers: frozenset[Word]

    @classmethod
    def of(cls, share: float) -> Order:
        """The order in which this share (0 to 1) of every kind of word reorders."""
        demonstratives = tuple(DEMONSTRATIVES.values())
        kinds = ADJECTIVES, demonstratives, PREPOSITIONS
        verbs = (*_first(TRANSITIVE, share), *_first(INTRANSITIVE, share))
        return cls(frozenset(verbs), frozenset(w for kind in kinds for w in _first(kind, share)))


def _first(words: tuple, share: float) -> tuple:
    return words[: int(len(words) * share + 0.5)]


def translate(sentence: Sentence, order: Order) -> tuple[list[str], list[str], Links]:
    """Source words, target words, and the pairs (target word, source word) that mean the same."""
    source = list(_joined(sentence, "source", _source_clause))
    for filler, share in sentence.fillers:
        source.insert(int(share * (len(source) + 1)), (filler, None))
    target = list(_joined(sentence, "target", lambda clause: _target_clause(clause, order)))
    places = {meaning: place for place, (_, meaning) in enumerate(source) if meaning}
    links = tuple((place, places[meaning]) for place, (_, meaning) in enumerate(target) if meaning)
    return [word for word, _ in source], [word for word, _ in target], links


def _joined(sentence: Sentence, language: str, write: Callable[[Clause], Written]) -> Written:
    """The clauses as `write` puts them, with their conjunctions in between."""
    for number, clause in enumerate(sentence.clauses):
        if number:
            conjunction = getattr(sentence.conjunctions[number - 1], language)
            yield conjunction, (id(clause), "conjunction")
        yield from write(clause)


def _source_clause(clause: Clause) -> Written:
    node = id(clause)
    yield from _source_phrase(clause.subject)
    if clause.will:
        yield WILL.source, (node, "will")
    if clause.never:
        yield NEVER, (node, "never")
    # The base form after "will" is that of the plural.
    yield clause.verb.source_form(clause.subject.plural or clause.will), (node, "verb")
    if clause.object:
        yield from _source_phrase(clause.object)
    if clause.place:
        yield clause.place[0].source, (node, "place")
        yield from _source_phrase(clause.place[1])
    if clause.adverb:
        yield clause.adverb.source, (node, "adverb")


def _source_phrase(phrase: Phrase) -> Written:
    node = id(phrase)
    yield from ((word, None) for word in phrase.retracted)
    if phrase.determiner == "this":
        yield DEMONSTRATIVES[phrase.plural].source, (node, "determiner")
    elif phrase.determiner == "the":
        yield THE.source, (node, "determiner")
    else:
        yield A, None
    if phrase.adjective:
        yield phrase.adjective.source, (node, "adjective")
    yield phrase.noun.source_form(phrase.plural), (node, "noun")
    if phrase.relative:
        yield THAT.source, (node, "that")
        yield phrase.relative.verb.source_form(phrase.plural), (id(phrase.relative), "verb")
        if phrase.relative.object:
            yield from _source_phrase(phrase.relative.object)


def _target_clause(clause: Clause, order: Order) -> Written:
    final = clause.verb in order.verbs
    verb, thing = _target_verb(clause, final), _target_object(clause.object, order)
    place = _target_place(clause, order)
    yield from _target_phrase(clause.subject, order)
    for part in (place, thing) if final else (verb, thing, place):
        yield from part
    if clause.adverb:
        yield clause.adverb.target, (id(clause), "adverb")
    if final:
        yield from verb


def _target_verb(clause: Clause, final: bool) -> Written:
    node = id(clause)
    will = (WILL.target, (node, "will"))
    if clause.will and not final:
        yield will
    if clause.never:
        yield NOT_BEFORE, (node, "never")
    yield clause.verb.target_form(clause.subject.noun.kind), (node, "verb")
    if clause.will and final:
        yield will
    if clause.never:
        yield NOT_AFTER, (node, "never")


def _target_object(phrase: Phrase | None, order: Order) -> Written:
    return _target_phrase(phrase, order) if phrase else iter(())


def _target_place(clause: Clause, order: Order) -> Written:
    if not clause.place:
        return
    word, phrase = clause.place
    written = (word.target, (id(clause), "place"))
    if word not in order.modifiers:
        yield written
    yield from _target_phrase(phrase, order)
    if word in order.modifiers:
        yield written


def _target_phrase(phrase: Phrase, order: Order) -> Written:
    """Article, relative clause, compound, noun, adjective, demonstrative; what does not reorder
    stands where it stands in the source."""
    node, kind = id(phrase), phrase.noun.kind
    demonstrative = DEMONSTRATIVES[phrase.plural] if phrase.determiner == "this" else None
    adjective = phrase.adjective
    if phrase.determiner == "the":
        yield THE.agreeing(kind), (node, "determiner")
    if demonstrative and demonstrative not in order.modifiers:
        yield demonstrative.agreeing(kind), (node, "determiner")
    before = phrase.relative is not None and phrase.relative.verb in order.verbs
    if before:
        yield from _target_relative(phrase, order)
    if adjective and adjective not in order.modifiers:
        yield adjective.agreeing(kind), (node, "adjective")
    if phrase.noun.first:
        yield phrase.noun.first, (node, "noun")
    yield phrase.noun.target_form(phrase.plural), (node, "noun")
    if adjective and adjective in order.modifiers:
        yield adjective.agreeing(kind), (node, "adjective")
    if demonstrative and demonstrative in order.modifiers:
        yield demonstrative.agreeing(kind), (node, "determiner")
    if not before:
        yield from _target_relative(phrase, order)


def _target_relative(phrase: Phrase, order: Order) -> Written:
    if not phrase.relative:
        return
    relative, kind = phrase.relative, phrase.noun.kind
    parts: tuple[Iterable[tuple[str, Meaning | None]], ...] = (
        [(THAT.agreeing(kind), (id(phrase), "that"))],
        [(relative.verb.target_form(kind), (id(relative), "verb"))],
        _target_object(relative.object, order),
    )
    yield from chain.from_iterable(reversed(parts) if relative.verb in order.verbs else parts)

"""The words of the probe's two languages.

The source is a small controlled English, so that people can read the pictures. The target is
invented: verbs close their clause, modifiers follow their noun, and whatever belongs to a noun
takes the vowel of the noun's class. Forms are listed or formed here, nothing is drawn.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Noun:
    """A noun. Its class cannot be told from its form, it has to be learned.

    `first` is the first half of those nouns that are two words in the target.
    """

    singular: str
    plural: str
    target: str
    kind: int
    first: str | None = None

    def source_form(self, plural: bool) -> str:
        return self.plural if plural else self.singular

    def target_form(self, plural: bool) -> str:
        return f"{self.target}{'ru' if plural else ''}"


@dataclass(frozen=True)
class Verb:
    """A verb; the target form agrees with the class of its subject."""

    singular: str
    plural: str
    target: str
    transitive: bool

    def source_form(self, plural: bool) -> str:
        return self.plural if plural else self.singular

    def target_form(self, kind: int) -> str:
        return self.target + ENDINGS[kind]


@dataclass(frozen=True)
class Word:
    """Any other word that has a counterpart."""

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

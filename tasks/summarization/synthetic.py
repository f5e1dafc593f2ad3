"""The language of the probe: events, how a report tells them, and how a headline does.

A headline keeps who, what and where of an event, turns the verb into the present tense of another
word, writes numbers in figures and leaves the rest out.
"""

from __future__ import annotations

from dataclasses import dataclass

AGENTS = (
    *("altara", "borvik", "celdon", "dravex", "elmora", "fintas", "gorwell", "haldane"),
    *("iskra", "jorvan", "keltec", "lumina", "morvan", "norden", "orbital", "palmgren"),
    *("quanta", "rovero", "sandor", "tervola", "umbrio", "veltra", "wexcorp", "zandor"),
)
PLACES = (
    *("accra", "bogota", "cairo", "dakar", "hanoi", "kyoto"),
    *("lagos", "lima", "oslo", "quito", "riga", "tunis"),
)
_UNITS = ("two", "three", "four", "five", "six", "seven", "eight", "nine")
_TENS = ("ten", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
#: Numbers in words, and in figures.
NUMBERS: dict[str, str] = {
    **{unit: str(value) for value, unit in enumerate(_UNITS, start=2)},
    **{ten: str(10 * tens) for tens, ten in enumerate(_TENS, start=1)},
}
GOODS = ("trucks", "ships", "planes", "mines", "hotels", "farms", "stores", "plants")
#: Only what has happened is news; all else was hoped, feared, denied or long ago.
CERTAIN = ("officially", "finally", "now")
UNCERTAIN = ("reportedly", "nearly", "never", "formerly", "allegedly", "once")
#: What follows on some events that were told as certain: they were not.
DENIALS = (("denied", "this"), ("withdrew", "this"), ("corrected", "that"))
OPENERS = (
    ("on", "monday"),
    ("analysts", "said"),
    ("last", "week"),
    ("meanwhile",),
    ("in", "brief"),
)


@dataclass(frozen=True)
class Action:
    """A thing companies do to goods.

    Attributes:
        told: verbs a report uses, all meaning the same.
        headline, rare: the verb headlines use as a rule, and the one they use now and then.
    """

    told: tuple[str, ...]
    headline: str
    rare: str


ACTIONS = (
    Action(("bought", "purchased", "acquired"), "buys", "nabs"),
    Action(("sold", "unloaded", "divested"), "sells", "sheds"),
    Action(("opened", "launched", "inaugurated"), "opens", "unveils"),
    Action(("closed", "shut", "abandoned"), "closes", "axes"),
    Action(("built", "constructed", "completed"), "builds", "erects"),
    Action(("rented", "leased", "chartered"), "rents", "hires"),
    Action(("repaired", "restored", "renovated"), "repairs", "revamps"),
    Action(("ordered", "requested", "commissioned"), "orders", "seeks"),
)


@dataclass(frozen=True)
class Event:
    """Who did what, where. `place` may be left unsaid.

    Attributes:
        told: the verb of the report, one of the action's.
        number: a key of `NUMBERS`.
    """

    agent: str
    action: Action
    told: str
    number: str
    goods: str
    place: str | None


#: A word and the part of the event it tells (None: nothing of the event).
Said = tuple[str, str | None]

#: Between the events of a headline.
JOINED: Said = ("and", None)


def sentence(event: Event, adverb: str, opener: tuple[str, ...]) -> list[Said]:
    """A report's sentence on an event: "on monday norden finally bought forty ships in lima ."."""
    return [
        *((word, None) for word in opener),
        (event.agent, "agent"),
        (adverb, None),
        (event.told, "verb"),
        (event.number, "number"),
        (event.goods, "goods"),
        *_place(event),
        (".", None),
    ]


def denial(agent: str, wording: tuple[str, ...]) -> list[Said]:
    """A sentence that takes back what was said of a company: "norden later denied this ."."""
    return [(agent, None), ("later", None), *((word, None) for word in wording), (".", None)]


def headline(event: Event, *, rare: bool) -> list[Said]:
    """The headline of an event: "norden buys 40 ships in lima"."""
    return [
        (event.agent, "agent"),
        (event.action.rare if rare else event.action.headline, "verb"),
        (NUMBERS[event.number], "number"),
        (event.goods, "goods"),
        *_place(event),
    ]


def _place(event: Event) -> list[Said]:
    return [("in", "preposition"), (event.place, "place")] if event.place else []

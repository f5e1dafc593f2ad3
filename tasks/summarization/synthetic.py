"""The generated reports of summarization: of their sentences one is the news, or some.

All sentences tell events in the same words; the one that has certainly happened and is not taken
back later makes the headline, wherever it stands. A writer has to find that sentence among the
others (attention) and to put its parts into the words of headlines: a headline keeps who, what and
where of an event, turns the verb into the present tense of another word, writes numbers in figures
and leaves the rest out. The words taken over are known, changed ones included. With more than one
piece of news, the headline joins them in their order.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from random import Random

from tasks.summarization.datasets import Document

# Share of events whose place is told.
_PLACED = 0.5

AGENTS = (
    *("altara", "borvik", "celdon", "dravex", "elmora", "fintas", "gorwell", "haldane"),
    *("iskra", "jorvan", "keltec", "lumina", "morvan", "norden", "orbital", "palmgren"),
    *("quanta", "rovero", "sandor", "tervola", "umbrio", "veltra", "wexcorp", "zandor"),
)
# Three of them make a name.
_SYLLABLES = ("ba", "dor", "fi", "gul", "ka", "lem", "mo", "nar", "pi", "ros", "su", "tiv", "za")
#: How many names can be made up.
MOST_NAMES = len(_SYLLABLES) ** 3


def made_up_names(count: int) -> tuple[str, ...]:
    """So many different company names, the same ones for the same number."""
    every = ["".join(parts) for parts in product(_SYLLABLES, repeat=3)]
    return tuple(Random("company names").sample(every, count))


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


@dataclass(frozen=True)
class ReportWriter:
    """Writes random reports.

    Attributes:
        noise: share of sentences that open with words of no use.
        same_agent: share of the other events that have the main event's agent.
        decoys: share of reports with an event that is told as certain and denied later.
        news: most events that make a headline, of at most every other sentence.
        rewording: share of headlines with the rarer verb.
        agents: names of the companies.
    """

    noise: float
    same_agent: float
    decoys: float
    news: int
    rewording: float
    agents: tuple[str, ...] = AGENTS

    def report(self, rng: Random, shortest: int, longest: int) -> Document:
        """A random report of `shortest` to `longest` sentences; the caller sets its id."""
        main = _event(rng, rng.choice(self.agents))
        sentences = rng.randint(shortest, longest)
        news = min(self.news, (sentences + 1) // 2)
        told = self._others(rng, sentences - news, main.agent)
        events: list[Event | None] = [None] * len(told)
        for number in range(news):
            event = main if number == 0 else _event(rng, self._other_agent(rng, told, events))
            at = rng.randint(0, len(told))
            told.insert(at, sentence(event, rng.choice(CERTAIN), self._opener(rng)))
            events.insert(at, event)
        written: list[Said] = []
        links: list[tuple[int, int]] = []
        for at, found in enumerate(events):
            if found is None:
                continue
            if written:
                written.append(JOINED)
            own = headline(found, rare=rng.random() < self.rewording)
            here, there = len(written), sum(map(len, told[:at]))
            # Words that tell the same part of the event belong together.
            links += [
                (here + place, there + other)
                for place, (_, part) in enumerate(own)
                for other, (_, same) in enumerate(told[at])
                if part == same
            ]
            written += own
        return Document(
            id="",
            sentences=tuple(tuple(word for word, _ in said) for said in told),
            summary=tuple(word for word, _ in written),
            links=tuple(links),
        )

    def _others(self, rng: Random, count: int, main: str) -> list[list[Said]]:
        """`count` sentences that are not the news."""
        told: list[list[Said]] = []
        decoy = count >= 2 and rng.random() < self.decoys
        for _ in range(count - 2 * decoy):
            agent = main if rng.random() < self.same_agent else rng.choice(self.agents)
            told.append(sentence(_event(rng, agent), rng.choice(UNCERTAIN), self._opener(rng)))
        if decoy:
            agent = rng.choice([agent for agent in self.agents if agent != main])
            first, second = sorted(rng.sample(range(count), 2))
            told.insert(first, sentence(_event(rng, agent), rng.choice(CERTAIN), self._opener(rng)))
            told.insert(second, denial(agent, rng.choice(DENIALS)))
        return told

    def _other_agent(self, rng: Random, told: list[list[Said]], events: list[Event | None]) -> str:
        """An agent that no news and no denial is of."""
        taken = {event.agent for event in events if event is not None}
        taken |= {said[0][0] for said in told if said[1][0] == "later"}
        return rng.choice([agent for agent in self.agents if agent not in taken])

    def _opener(self, rng: Random) -> tuple[str, ...]:
        return rng.choice(OPENERS) if rng.random() < self.noise else ()


def _event(rng: Random, agent: str) -> Event:
    action = rng.choice(ACTIONS)
    return Event(
        agent=agent,
        action=action,
        told=rng.choice(action.told),
        number=rng.choice(list(NUMBERS)),
        goods=rng.choice(GOODS),
        place=rng.choice(PLACES) if rng.random() < _PLACED else None,
    )

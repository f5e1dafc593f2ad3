"""The embedded summarization data: generated reports of which one sentence is the news, or some.

All sentences tell events in the same words; the one that has certainly happened and is not taken
back later makes the headline, wherever it stands. A writer has to find that sentence among the
others (attention) and to put its parts into the words of headlines. The words taken over are known,
changed ones included. With more than one piece of news, the headline joins them in their order.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import ClassVar

from pydantic import Field, model_validator

from bench.errors import UsageError
from tasks.base import Dataset, DatasetOptions, datasets
from tasks.probe_parts import ProbePart, probe_parts, unseen
from tasks.summarization.datasets import Document, SummaryCorpus
from tasks.summarization.synthetic import (
    ACTIONS,
    AGENTS,
    CERTAIN,
    DENIALS,
    GOODS,
    JOINED,
    NUMBERS,
    OPENERS,
    PLACES,
    UNCERTAIN,
    Event,
    Said,
    denial,
    headline,
    sentence,
)

_PLACED = 0.5


class ProbeOptions(DatasetOptions):
    """Knobs of the generator."""

    fewest: int = Field(1, ge=1, description="sentences of the shortest reports")
    sentences: int = Field(
        6, ge=1, description="sentences of the longest reports; those of 'long' have twice as many"
    )
    noise: float = Field(
        0.3, ge=0, le=1, description="share of sentences that open with words of no use"
    )
    same_agent: float = Field(
        0.2, ge=0, le=1, description="share of the other events that have the main event's agent"
    )
    decoys: float = Field(
        0.3,
        ge=0,
        le=1,
        description="share of reports (with two sentences or more that are no news) with an event"
        " that is told as certain and denied later",
    )
    news: int = Field(
        3,
        ge=1,
        le=6,
        description="most events that make a headline, of at most every other sentence: with more"
        " than one, longer reports have longer headlines",
    )
    rewording: float = Field(
        0.1, ge=0, le=1, description="share of headlines with the rarer verb, which cannot be told"
    )
    train_size: int = Field(6000, ge=1, description="training reports")
    validation_size: int = Field(250, ge=1, description="validation reports")
    test_size: int = Field(400, ge=1, description="reports in each of the two test sets")
    data_seed: int = Field(1, ge=0, description="draws the reports; not the trial's seed")

    @model_validator(mode="after")
    def _ordered(self) -> ProbeOptions:
        if self.fewest > self.sentences:
            raise ValueError("fewest must not be above sentences")
        return self


@datasets("summarization").register("probe")
class Probe(Dataset[SummaryCorpus]):
    """Generated reports with the positions of the words taken over."""

    name: ClassVar[str] = "probe"
    summary: ClassVar[str] = "generated reports with one main event, told again as a headline"
    external: ClassVar[bool] = False
    gold: ClassVar[bool] = True
    Options: ClassVar[type[DatasetOptions]] = ProbeOptions

    @classmethod
    def load(cls, options: DatasetOptions, data_root: Path | None) -> SummaryCorpus:
        """Generate the corpus; the same options give the same bytes."""
        assert isinstance(options, ProbeOptions)
        return generate(options)


# A warm worker tests many cells on the same texts.
@lru_cache(maxsize=1)
def generate(options: ProbeOptions) -> SummaryCorpus:
    """All parts of the probe. Raises UsageError if there are not so many different reports."""
    few, most = options.fewest, options.sentences
    parts = probe_parts(
        options.train_size,
        options.validation_size,
        options.test_size,
        within=(few, most),
        long=(max(most + 1, 2 * most - most // 4), 2 * most),
    )
    seen: set[Hashable] = set()
    made = {part.name: _reports(part, options, seen) for part in parts}
    return SummaryCorpus(
        train=made["train"],
        validation=made["validation"],
        tests={"test": made["test"], "long": made["long"]},
        notes=(
            f"probe: {few} to {most} sentences a report,"
            f" {parts[1].fewest} to {parts[1].most} in 'long';"
            f" {options.rewording:.0%} of the headlines use a rarer verb",
        ),
    )


def _reports(part: ProbePart, options: ProbeOptions, seen: set[Hashable]) -> tuple[Document, ...]:
    rng = Random(f"summarization probe {options.data_seed} {part.name}")
    exhausted = UsageError(
        f"there are no {part.size} different reports of up to {part.most} sentences",
        where=f"summarization probe, part '{part.name}'",
        remedy="ask for fewer reports or more sentences",
    )
    reports = unseen(
        part.size,
        lambda: _report(rng, part, options),
        lambda report: (report.source_text,),
        seen,
        exhausted,
    )
    return tuple(
        replace(report, id=f"{part.name}-{number}") for number, report in enumerate(reports)
    )


def _report(rng: Random, part: ProbePart, options: ProbeOptions) -> Document:
    """A report; its id is the caller's."""
    main = _event(rng, rng.choice(AGENTS))
    sentences = rng.randint(part.fewest, part.most)
    news = min(options.news, (sentences + 1) // 2)
    told = _others(rng, sentences - news, main.agent, options)
    events: list[Event | None] = [None] * len(told)
    for number in range(news):
        event = main if number == 0 else _event(rng, _other_agent(rng, told, events))
        at = rng.randint(0, len(told))
        told.insert(at, sentence(event, rng.choice(CERTAIN), _opener(rng, options)))
        events.insert(at, event)
    written: list[Said] = []
    links: list[tuple[int, int]] = []
    for at, found in enumerate(events):
        if found is None:
            continue
        if written:
            written.append(JOINED)
        own = headline(found, rare=rng.random() < options.rewording)
        links += _links(own, told[at], len(written), sum(map(len, told[:at])))
        written += own
    return Document(
        id="",
        sentences=tuple(tuple(word for word, _ in said) for said in told),
        summary=tuple(word for word, _ in written),
        links=tuple(links),
    )


def _other_agent(rng: Random, told: list[list[Said]], events: list[Event | None]) -> str:
    """An agent that no news and no denial is of."""
    taken = {event.agent for event in events if event is not None}
    taken |= {said[0][0] for said in told if said[1][0] == "later"}
    return rng.choice([agent for agent in AGENTS if agent not in taken])


def _others(rng: Random, count: int, main: str, options: ProbeOptions) -> list[list[Said]]:
    """So many sentences that are not the news."""
    told: list[list[Said]] = []
    decoy = count >= 2 and rng.random() < options.decoys
    for _ in range(count - 2 * decoy):
        agent = main if rng.random() < options.same_agent else rng.choice(AGENTS)
        told.append(sentence(_event(rng, agent), rng.choice(UNCERTAIN), _opener(rng, options)))
    if decoy:
        agent = rng.choice([agent for agent in AGENTS if agent != main])
        first, second = sorted(rng.sample(range(count), 2))
        told.insert(first, sentence(_event(rng, agent), rng.choice(CERTAIN), _opener(rng, options)))
        told.insert(second, denial(agent, rng.choice(DENIALS)))
    return told


def _links(
    written: list[Said], told: list[Said], here: int, there: int
) -> Iterator[tuple[int, int]]:
    """What tells the same part of the event belongs together.

    Args:
        here, there: where in the headline and the report the event begins.
    """
    for place, (_, part) in enumerate(written):
        for other, (_, same) in enumerate(told):
            if part == same:
                yield here + place, there + other


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


def _opener(rng: Random, options: ProbeOptions) -> tuple[str, ...]:
    return rng.choice(OPENERS) if rng.random() < options.noise else ()

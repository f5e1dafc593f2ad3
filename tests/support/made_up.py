"""A made-up language and made-up mechanisms that translate it more or less well."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Word for word: SOURCE[i] translates to TARGET[i].
SOURCE = ("der", "kleine", "hund", "jagt", "eine", "alte", "katze", "durch", "wald", "und", "bellt")
TARGET = ("the", "little", "dog", "chases", "an", "old", "cat", "through", "forest", "and", "barks")


@dataclass(frozen=True)
class Mechanism:
    """How well a made-up mechanism does: its rate of wrong words, how much worse it gets with
    each source word, how sharp and how wrong its weights are, and what it costs."""

    attention: str
    score: str
    errors: float
    per_word: float
    sharpness: float
    parameters: int
    seconds: float
    seeds: tuple[int, ...] = (1,)


MECHANISMS = (
    Mechanism("none", "none", 0.34, 0.022, 0.0, 310_000, 9.2, (1, 2)),
    Mechanism("soft", "concat", 0.06, 0.002, 4.0, 402_000, 14.8, (1, 2)),
    Mechanism("hard", "concat", 0.13, 0.004, 9.0, 402_000, 16.1, (1, 2)),
    Mechanism("global", "dot", 0.08, 0.002, 3.6, 389_000, 11.9),
    Mechanism("global", "scaled-dot", 0.09, 0.002, 2.8, 389_000, 12.0),
    Mechanism("global", "general", 0.06, 0.002, 4.2, 405_000, 12.3, (1, 2)),
    Mechanism("global", "concat", 0.07, 0.002, 4.0, 421_000, 14.1),
    Mechanism("local-m", "general", 0.12, 0.012, 4.0, 405_000, 12.9),
    Mechanism("local-p", "general", 0.10, 0.006, 4.4, 423_000, 13.8),
    Mechanism("self", "scaled-dot", 0.11, 0.008, 3.0, 512_000, 8.7, (1, 2)),
    Mechanism("hierarchical", "concat", 0.09, 0.003, 3.4, 455_000, 17.2),
    Mechanism("over", "dot", 0.15, 0.004, 2.4, 391_000, 13.0),
    Mechanism("multi-step", "dot", 0.12, 0.009, 3.2, 468_000, 7.9),
)


@dataclass(frozen=True)
class Sentence:
    """A pair of sentences with its word links; the target is the source, some words swapped."""

    name: str
    source: tuple[str, ...]
    target: tuple[str, ...]
    links: tuple[tuple[int, int], ...]


def sentences(subset: str, count: int, lengths: tuple[int, int]) -> list[Sentence]:
    rng = np.random.default_rng(len(subset))
    made = []
    for place in range(count):
        length = int(rng.integers(*lengths, endpoint=True))
        words = rng.integers(0, len(SOURCE), length)
        order = np.arange(length)
        for start in range(0, length - 1, 2):
            if rng.random() < 0.4:
                order[[start, start + 1]] = order[[start + 1, start]]
        made.append(
            Sentence(
                f"{subset}-{place:03d}",
                tuple(SOURCE[word] for word in words),
                tuple(TARGET[words[at]] for at in order),
                tuple((t, int(s)) for t, s in enumerate(order)),
            )
        )
    return made

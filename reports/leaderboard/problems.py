"""What is wrong with a bundle, in lines that are safe to print.

Everything in a bundle was written by a stranger. Whatever of it gets into a message goes through
`plain`: a terminal must not obey an escape sequence in somebody's name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: Characters of a stranger's text that a message shows.
SHOWN = 120
#: Problems of one kind that are listed for one trial; the rest is counted.
LISTED = 10


@dataclass(frozen=True)
class Problem:
    """What is wrong, and where: a trial, a file, an entry."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what


def plain(text: object, most: int = SHOWN) -> str:
    """A stranger's text on one line, without control characters, not longer than `most`."""
    cut = str(text)[: most + 1]
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in cut)
    return f"{shown[:most]}..." if len(cut) > most else shown


def shortened(problems: Iterable[Problem], most: int = LISTED) -> Iterator[Problem]:
    """The first problems, and how many more there are."""
    found = list(problems)
    yield from found[:most]
    if len(found) > most:
        yield Problem(found[0].where, f"and {len(found) - most} more problems like these")

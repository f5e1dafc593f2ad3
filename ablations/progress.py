"""A sweep's progress for a person: a table that stays in place on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import IO, Protocol

from ablations.outcome import Outcome
from ablations.tally import Clock, Tally

_LINE_SECONDS = 8.0
_SAME_LINE_SECONDS = 60.0


class Progress(Protocol):
    """Told of what happens in a sweep, in this order: begin, ready, (started | finished |
    tick)..., end."""

    def begin(self, message: str) -> None: ...

    def ready(self, slots: int) -> None: ...

    def started(self, hash: str) -> None: ...

    def finished(self, outcome: Outcome) -> None: ...

    def tick(self) -> None: ...

    def end(self) -> None: ...


class LineProgress:
    """A line now and then: for logs, and for terminals that are none.

    At most one in 8 seconds, failures apart; one a minute where nothing changes.
    """

    def __init__(self, tally: Tally, stream: IO[str], clock: Clock = time.monotonic) -> None:
        self._tally, self._stream, self._clock = tally, stream, clock
        self._at, self._line = float("-inf"), ""

    def begin(self, message: str) -> None:
        self._say(message)

    def ready(self, slots: int) -> None:
        self._tally.slots = slots

    def started(self, hash: str) -> None:
        self._tally.started(hash, self._clock())

    def finished(self, outcome: Outcome) -> None:
        self._tally.finished(outcome, self._clock())
        if outcome.failure is not None:
            self._say(self._tally.last)

    def tick(self) -> None:
        passed = self._clock() - self._at
        if passed >= _LINE_SECONDS:
            line = self._tally.line(self._clock())
            # The time left changes by itself, so that only a sweep's first minutes say the same.
            if line != self._line or passed >= _SAME_LINE_SECONDS:
                self._say(line)

    def end(self) -> None:
        self._say(self._tally.line(self._clock()))

    def _say(self, line: str) -> None:
        self._at, self._line = self._clock(), line
        self._stream.write(line + "\n")
        self._stream.flush()


def open_progress(
    labels: Mapping[str, str], held: int, stream: IO[str], clock: Clock = time.monotonic
) -> Progress:
    """The progress that suits a stream: a live table on a terminal, lines elsewhere."""
    tally = Tally(labels, held)
    if stream.isatty():
        from ablations.progress_table import TableProgress

        return TableProgress(tally, stream, clock)
    return LineProgress(tally, stream, clock)

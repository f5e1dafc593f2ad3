"""A sweep's progress for a person: a table that stays in place on a terminal, lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import IO, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ablations.outcome import Outcome

# Counts of a sweep under way, and the time it still takes.

Clock = Callable[[], float]


@dataclass
class Tally:
    """Where a sweep stands.

    Attributes:
        labels: of the cells to be run, by hash.
        held: cells that were finished before.
        running: start times by hash.
    """

    labels: Mapping[str, str]
    held: int = 0
    slots: int = 1
    done: int = 0
    failed: int = 0
    running: dict[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    last: str = ""

    def started(self, hash: str, now: float) -> None:
        self.running[hash] = now

    def finished(self, outcome: Outcome, now: float) -> None:
        began = self.running.pop(outcome.hash, now)
        if outcome.status == "interrupted":
            return
        self.seconds.append(outcome.seconds or now - began)
        if outcome.status == "done":
            self.done += 1
        else:
            self.failed += 1
        self.last = f"{self.labels[outcome.hash]}: {_said(outcome)}"

    @property
    def waiting(self) -> int:
        return len(self.labels) - self.done - self.failed - len(self.running)

    def seconds_left(self, now: float) -> float | None:
        """From the mean of the finished cells; None before the first."""
        if not self.seconds:
            return None
        mean = sum(self.seconds) / len(self.seconds)
        under_way = sum(max(mean - (now - began), 0.0) for began in self.running.values())
        return (self.waiting * mean + under_way) / max(1, min(self.slots, self._unfinished))

    @property
    def _unfinished(self) -> int:
        return self.waiting + len(self.running)

    def line(self, now: float) -> str:
        """`5 of 18 done, 2 running, 1 failed, about 2 min left; last: ... BLEU 31.20`."""
        total = len(self.labels) + self.held
        parts = [f"{self.done + self.held} of {total} done", f"{len(self.running)} running"]
        if self.failed:
            parts.append(f"{self.failed} failed")
        left = self.seconds_left(now)
        if left is not None and self._unfinished:
            parts.append(f"about {duration(left)} left")
        tail = f"; last: {self.last}" if self.last else ""
        return ", ".join(parts) + tail


def duration(seconds: float) -> str:
    """`40 s`, `3 min`, `2 h 05 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


def _said(outcome: Outcome) -> str:
    if outcome.failure is not None:
        return f"failed, {outcome.failure[0]}"
    name, value = outcome.figure or ("done", 0.0)
    return f"{name} {value:.4g}"


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
        return TableProgress(tally, stream, clock)
    return LineProgress(tally, stream, clock)


# The live table of a sweep on a terminal.

_SHOWN_RUNNING = 8
_REDRAW_SECONDS = 0.5


class TableProgress:
    """A bar with counts and time left, the running cells, failures, and the last figure.

    Drawn again by `tick`, not by a thread: Ray's processes are forked while it is shown.
    """

    def __init__(self, tally: Tally, stream: IO[str], clock: Clock = time.monotonic) -> None:
        self._tally, self._clock = tally, clock
        self._message = ""
        self._drawn = 0.0
        self._console = Console(file=stream)
        self._live = Live(get_renderable=self._picture, console=self._console, auto_refresh=False)

    def begin(self, message: str) -> None:
        self._message = message
        self._live.start(refresh=True)

    def ready(self, slots: int) -> None:
        self._tally.slots = slots
        self._message = ""

    def started(self, hash: str) -> None:
        self._tally.started(hash, self._clock())

    def finished(self, outcome: Outcome) -> None:
        self._tally.finished(outcome, self._clock())
        if outcome.failure is not None:
            self._live.console.print(Text(self._tally.last, style="red"))

    def tick(self) -> None:
        if self._clock() - self._drawn >= _REDRAW_SECONDS:
            self._drawn = self._clock()
            self._live.refresh()

    def end(self) -> None:
        self._live.refresh()
        self._live.stop()

    def _picture(self) -> RenderableType:
        tally, now = self._tally, self._clock()
        running = Table.grid(padding=(0, 2))
        for hash, began in list(tally.running.items())[:_SHOWN_RUNNING]:
            running.add_row(
                Text("running", style="cyan"), duration(now - began), tally.labels[hash]
            )
        if len(tally.running) > _SHOWN_RUNNING:
            running.add_row("", "", f"and {len(tally.running) - _SHOWN_RUNNING} more")
        total = len(tally.labels) + tally.held
        bar = ProgressBar(total=total, completed=tally.held + tally.done + tally.failed, width=40)
        head = Table.grid(padding=(0, 2))
        head.add_row(bar, Text(self._message or self._counts(now)))
        parts: list[RenderableType] = [head]
        if tally.running:
            parts.append(running)
        if tally.last:
            parts.append(Text(f"last     {tally.last}"))
        return Group(*parts)

    def _counts(self, now: float) -> str:
        # The last cell has a row of its own here.
        return self._tally.line(now).split("; last: ")[0]

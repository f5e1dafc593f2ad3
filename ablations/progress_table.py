"""The live table of a sweep on a terminal."""

from __future__ import annotations

import time
from typing import IO

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ablations.outcome import Outcome
from ablations.tally import Clock, Tally, duration

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

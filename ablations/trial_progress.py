"""The progress inside a trial: step, rate, loss, time left; shown for `attnbench run`."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Literal

from pydantic import FiniteFloat
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

_LINE_SECONDS = 10.0


@dataclass(frozen=True)
class TrialProgress:
    """Where a trial stands.

    Attributes:
        phase: testing includes decoding and scoring.
        step, steps: those done, and all of the training, which may end before (`patience`).
        loss: of the last step, if it is finite.
        rate: steps a second, validations included; None before the second report.
    """

    phase: Literal["preparing", "training", "testing"]
    step: int = 0
    steps: int = 0
    loss: FiniteFloat | None = None
    rate: FiniteFloat | None = None

    @property
    def seconds_left(self) -> float | None:
        """Seconds that the training still takes; None where that is not known."""
        return (self.steps - self.step) / self.rate if self.rate else None

    def __str__(self) -> str:
        """`step 120 of 600, 14.2 steps/s, loss 3.21`, or the phase."""
        if self.phase != "training" or not self.steps:
            return "preparing data" if self.phase == "preparing" else self.phase
        parts = [f"step {self.step:,} of {self.steps:,}"]
        if self.rate is not None:
            parts.append(f"{self.rate:.3g} steps/s")
        if self.loss is not None:
            parts.append(f"loss {self.loss:.3g}")
        return ", ".join(parts)


def duration(seconds: float) -> str:
    """`40 s`, `3 min`, `2 h 05 min`."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"


@contextlib.contextmanager
def shown_on(
    stream: IO[str], *, clock: Callable[[], float] = time.monotonic
) -> Iterator[Callable[[TrialProgress], None]]:
    """What shows the progress of one trial: a bar on a terminal, else a line every ten seconds."""
    if not stream.isatty():
        yield _Lines(stream, clock).show
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[left]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=stream), transient=True) as bar:
        task = bar.add_task("preparing data", total=None, left="")
        yield _Bar(bar, task).show


class _Bar:
    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def show(self, progress: TrialProgress) -> None:
        left = progress.seconds_left if progress.phase == "training" else None
        self._bar.update(
            self._task,
            description=str(progress),
            total=progress.steps if progress.phase == "training" else None,
            completed=progress.step,
            left="" if left is None else f"about {duration(left)}, then tests",
        )


class _Lines:
    def __init__(self, stream: IO[str], clock: Callable[[], float]) -> None:
        self._stream, self._clock = stream, clock
        self._shown = clock()

    def show(self, progress: TrialProgress) -> None:
        now = self._clock()
        if now - self._shown < _LINE_SECONDS:
            return
        self._shown = now
        left = progress.seconds_left if progress.phase == "training" else None
        tail = "" if left is None else f", about {duration(left)} left, then tests"
        with contextlib.suppress(OSError):  # whoever read the lines has gone
            self._stream.write(f"{progress}{tail}\n")
            self._stream.flush()

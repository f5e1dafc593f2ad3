"""Counts of a sweep under way, and the time it still takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ablations.outcome import Outcome

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

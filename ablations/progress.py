"""The progress of a sweep: one tally, shown as lines, as a live table and as a status in the store.

`Progress` hears of what happens, counts it in its `Tally` and lets its renderers show it: a table
that stays in place on a terminal, lines elsewhere, and `StatusWriter` for whoever looks from
another shell or machine (`attnbench status`).
"""

from __future__ import annotations

import contextlib
import os
import platform
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from statistics import fmean
from typing import IO, Any, Literal

from pydantic import FiniteFloat, TypeAdapter
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ablations.trial_interface import Outcome
from ablations.trial_progress import TrialProgress, duration
from bench.store.result import utc_now
from bench.store.store import Store

Clock = Callable[[], float]
_State = Literal["starting", "running", "finished", "stopped"]

_LINE_SECONDS, _SAME_LINE_SECONDS = 8.0, 60.0
_REDRAW_SECONDS, _SHOWN_RUNNING = 0.5, 8

#: Seconds between two statuses in the store, a local folder or another.
_LOCAL_SECONDS, _REMOTE_SECONDS = 2.0, 20.0
_SHOWN_FAILURES = 20

#: Share of a trial's time until its tests begin, until the first trial has ended.
_TRAINING_SHARE = 0.85

#: A trial that has taken longer than expected is expected to take this share longer.
_OVERRUN = 0.05

#: A sweep whose status says that it runs and is older than this has died.
SILENCE_SECONDS = 90.0


@dataclass
class Tally:
    """Counts of a sweep under way, and the time it still takes.

    Attributes:
        labels: of the cells to be run, by hash.
        expected: seconds that cells like these took before, by hash, where that is known.
        stored: number of cells that were finished before.
        noted: seconds that their budgets note for cells, by hash, where they note any.
        slots: trials that run at once; 0 until they can begin.
        running: start times by hash.
        nodes: machines that running trials were placed on, by hash.
        ended: trials that have ended, by machine.
        outcomes: in the order they came in, without those of interrupted trials.
        elsewhere: who runs cells that another process has claimed, by hash.
        seconds: that the trials took.
        progress: where running trials stand, and when that was heard, by hash.
        trained: seconds until the tests of running trials began, by hash.
        training_shares: of the time of each trial, that until its tests.
        last: the last outcome in a line.
    """

    labels: Mapping[str, str]
    stored: int = 0
    expected: Mapping[str, float] = field(default_factory=dict)
    noted: Mapping[str, float] = field(default_factory=dict)
    slots: int = 0
    running: dict[str, float] = field(default_factory=dict)
    nodes: dict[str, str] = field(default_factory=dict)
    ended: Counter[str] = field(default_factory=Counter)
    outcomes: list[Outcome] = field(default_factory=list)
    elsewhere: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    progress: dict[str, tuple[TrialProgress, float]] = field(default_factory=dict)
    trained: dict[str, float] = field(default_factory=dict)
    training_shares: list[float] = field(default_factory=list)
    last: str = ""

    def started(self, hash: str, now: float) -> None:
        self.running[hash] = now

    def advanced(self, hash: str, progress: TrialProgress, now: float) -> None:
        if hash in self.running:
            self.progress[hash] = progress, now
            if progress.phase == "testing":
                self.trained[hash] = now - self.running[hash]

    def finished(self, outcome: Outcome, now: float) -> None:
        began = self.running.pop(outcome.hash, now)
        self.progress.pop(outcome.hash, None)
        trained = self.trained.pop(outcome.hash, None)
        if trained is not None and outcome.status == "done" and now > began:
            self.training_shares.append(trained / (now - began))
        self.ended[self.nodes.pop(outcome.hash, "")] += 1
        if outcome.status == "interrupted":
            return
        if outcome.status == "elsewhere":
            self.elsewhere[outcome.hash] = outcome.problem or ""
            return
        self.seconds.append(outcome.seconds or now - began)
        self.outcomes.append(outcome)
        name, value = outcome.figure or ("done", 0.0)
        text = f"failed, {outcome.failure[0]}" if outcome.failure else f"{name} {value:.4g}"
        self.last = f"{self.labels[outcome.hash]}: {text}"

    @property
    def done(self) -> int:
        return sum(outcome.status == "done" for outcome in self.outcomes)

    @property
    def failed(self) -> int:
        return len(self.outcomes) - self.done

    @property
    def waiting(self) -> int:
        ended = len(self.outcomes) + len(self.elsewhere)
        return len(self.labels) - ended - len(self.running)

    def seconds_left(self, now: float) -> float | None:
        """Expected seconds until the end; None while nothing is known of one of the cells.

        A running cell takes what its steps so far tell, one that waits what cells like it took
        before (`expected`), or else what its budget notes (`noted`), at the pace of those that
        have ended, or else the mean of those, or else of those that run.
        """
        mean = fmean(self.seconds) if self.seconds else None
        totals = {hash: self._total(hash, mean, now) for hash in self.running}
        known = [total for total in totals.values() if total is not None]
        if mean is None and known:
            mean = fmean(known)
        pace = self._pace()
        noted = {hash: pace * seconds for hash, seconds in self.noted.items()}
        likely = {**noted, **self.expected}
        ended = {outcome.hash for outcome in self.outcomes} | self.elsewhere.keys()
        waiting = [
            likely.get(hash, mean)
            for hash in self.labels
            if hash not in ended and hash not in self.running
        ]
        if len(known) < len(totals) or None in waiting:
            return None
        left = [
            # One that takes longer than expected goes on for a while.
            max(total - (now - self.running[hash]), _OVERRUN * (now - self.running[hash]))
            for hash, total in totals.items()
            if total is not None
        ]
        work = sum(left) + sum(seconds for seconds in waiting if seconds is not None)
        slots = max(1, min(self.slots, len(waiting) + len(left)))
        return max([work / slots, *left])

    def _pace(self) -> float:
        """Seconds that the cells which have ended took, for each second that is noted for them."""
        pairs = [
            (seconds, self.noted[one.hash])
            for one, seconds in zip(self.outcomes, self.seconds, strict=True)
            if one.hash in self.noted
        ]
        return sum(one for one, _ in pairs) / sum(noted for _, noted in pairs) if pairs else 1.0

    def _total(self, hash: str, mean: float | None, now: float) -> float | None:
        """Expected seconds of a running trial, those that have passed included."""
        share = fmean(self.training_shares) if self.training_shares else _TRAINING_SHARE
        if hash in self.trained:
            return self.trained[hash] / share
        progress, heard = self.progress.get(hash, (None, now))
        if progress is not None and progress.seconds_left is not None:
            return (heard - self.running[hash] + progress.seconds_left) / share
        return self.expected.get(hash, mean)

    def line(self, now: float, *, last: bool = True) -> str:
        """`5 of 18 done, 2 running, 1 failed, about 2 min left; last: ... BLEU 31.20`."""
        left = self.seconds_left(now) if self.waiting or self.running else None
        done, total = self.done + self.stored, len(self.labels) + self.stored
        tail = f"; last: {self.last}" if last and self.last else ""
        counts = counts_line(done, total, len(self.running), self.failed, left)
        others = f", {len(self.elsewhere)} run elsewhere" if self.elsewhere else ""
        return counts + others + tail


def counts_line(done: int, total: int, running: int, failed: int, left: float | None) -> str:
    """`5 of 18 done, 2 running, 1 failed, about 2 min left`."""
    failures = f", {failed} failed" if failed else ""
    time_left = "" if left is None else f", about {duration(left)} left"
    return f"{done} of {total} done, {running} running{failures}{time_left}"


class Renderer:
    """Shows a tally. No two methods are called at the same time; what a renderer does not override
    is not shown."""

    def begin(self, tally: Tally, message: str, now: float) -> None:
        """The sweep is being prepared, as the message says."""

    def note(self, line: str) -> None:
        """Something to be told once."""

    def ready(self, tally: Tally, now: float) -> None:
        """Trials begin."""

    def failed(self, tally: Tally, now: float) -> None:
        """A trial has failed; `tally.last` says which and why."""

    def tick(self, tally: Tally, now: float) -> None:
        """Called several times a second."""

    def end(self, tally: Tally, now: float, *, stopped: bool) -> None:
        """The sweep has ended, or was stopped by a signal."""


class Progress:
    """Hears of what happens in a sweep, in this order: begin, note, ready, (started | located |
    advanced | finished | machines | tick)..., end; from begin on again where Ray has to be started
    again. Threads may call it.

    Attributes:
        nodes: the machines of the cluster, as last heard.
    """

    def __init__(
        self, tally: Tally, renderers: Sequence[Renderer], clock: Clock = time.monotonic
    ) -> None:
        self.tally, self.renderers, self.clock = tally, list(renderers), clock
        self.nodes: Sequence[NodeUse] = ()
        self._lock = threading.RLock()

    def begin(self, message: str) -> None:
        self._show(lambda one, now: one.begin(self.tally, message, now))

    def note(self, line: str) -> None:
        """Something to be told once, such as the address of Ray's dashboard."""
        self._show(lambda one, now: one.note(line))

    def ready(self, slots: int) -> None:
        """Trials begin, at most `slots` at a time."""
        with self._lock:
            self.tally.slots = slots
            self._show(lambda one, now: one.ready(self.tally, now))

    def started(self, hash: str) -> None:
        with self._lock:
            self.tally.started(hash, self.clock())

    def located(self, hash: str, node: str) -> None:
        """A trial that was started runs now, on that machine."""
        with self._lock:
            self.tally.nodes[hash] = node

    def advanced(self, hash: str, progress: TrialProgress) -> None:
        """A running trial stands there now."""
        with self._lock:
            self.tally.advanced(hash, progress, self.clock())

    def machines(self, nodes: Sequence[NodeUse]) -> None:
        self.nodes = nodes

    def finished(self, outcome: Outcome) -> None:
        with self._lock:
            self.tally.finished(outcome, self.clock())
            if outcome.failure is not None:
                self._show(lambda one, now: one.failed(self.tally, now))

    def tick(self) -> None:
        self._show(lambda one, now: one.tick(self.tally, now))

    def end(self, *, stopped: bool = False) -> None:
        self._show(lambda one, now: one.end(self.tally, now, stopped=stopped))

    def _show(self, event: Callable[[Renderer, float], None]) -> None:
        with self._lock:
            for renderer in list(self.renderers):
                try:
                    event(renderer, self.clock())
                except OSError:  # whoever read the lines, or the terminal, has gone; trials go on
                    self.renderers.remove(renderer)


def renderer_for(stream: IO[str]) -> Renderer:
    """The renderer that suits a stream: a live table on a terminal, lines elsewhere."""
    return TableRenderer(stream) if stream.isatty() else LineRenderer(stream)


class LineRenderer(Renderer):
    """A line now and then: for logs, and for terminals that cannot redraw.

    At most one in 8 seconds, failures apart; one a minute where nothing changes.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._at, self._line = float("-inf"), ""

    def begin(self, tally: Tally, message: str, now: float) -> None:
        self._write(message, now)

    def note(self, line: str) -> None:
        self._stream.write(line + "\n")
        self._stream.flush()

    def failed(self, tally: Tally, now: float) -> None:
        self._write(tally.last, now)

    def tick(self, tally: Tally, now: float) -> None:
        passed = now - self._at
        if passed >= _LINE_SECONDS:
            line = tally.line(now)
            # The time left changes by itself, so that only a sweep's first minutes say the same.
            if line != self._line or passed >= _SAME_LINE_SECONDS:
                self._write(line, now)

    def end(self, tally: Tally, now: float, *, stopped: bool) -> None:
        self._write(tally.line(now), now)

    def _write(self, line: str, now: float) -> None:
        self._at, self._line = now, line
        self.note(line)


class TableRenderer(Renderer):
    """A bar with counts and time left, the running cells, failures, and the last figure.

    Drawn again by `tick`, not by a thread: Ray's processes are forked while it is shown.
    """

    def __init__(self, stream: IO[str]) -> None:
        self._message, self._drawn = "", 0.0
        self._live = Live(console=Console(file=stream), auto_refresh=False)

    def begin(self, tally: Tally, message: str, now: float) -> None:
        self._message = message
        self._live.start()
        self._draw(tally, now)

    def note(self, line: str) -> None:
        self._live.console.print(Text(line), soft_wrap=True)  # in one piece, to be copied

    def ready(self, tally: Tally, now: float) -> None:
        self._message = ""

    def failed(self, tally: Tally, now: float) -> None:
        self._live.console.print(Text(tally.last, style="red"))

    def tick(self, tally: Tally, now: float) -> None:
        if now - self._drawn >= _REDRAW_SECONDS:
            self._draw(tally, now)

    def end(self, tally: Tally, now: float, *, stopped: bool) -> None:
        self._draw(tally, now)
        self._live.stop()

    def _draw(self, tally: Tally, now: float) -> None:
        self._drawn = now
        self._live.update(self.picture(tally, now), refresh=True)

    def picture(self, tally: Tally, now: float) -> RenderableType:
        """The table as it stands now."""
        total = len(tally.labels) + tally.stored
        bar = ProgressBar(total=total, completed=tally.stored + len(tally.outcomes), width=40)
        head = Table.grid(padding=(0, 2))
        head.add_row(bar, Text(self._message or tally.line(now, last=False)))
        parts: list[RenderableType] = [head]
        if tally.running:
            running = Table.grid(padding=(0, 2))
            for hash, began in list(tally.running.items())[:_SHOWN_RUNNING]:
                passed = duration(now - began)
                stands = str(tally.progress[hash][0]) if hash in tally.progress else ""
                running.add_row(Text("running", style="cyan"), passed, tally.labels[hash], stands)
            if len(tally.running) > _SHOWN_RUNNING:
                running.add_row("", "", f"and {len(tally.running) - _SHOWN_RUNNING} more")
            parts.append(running)
        if tally.last:
            parts.append(Text(f"last     {tally.last}"))
        return Group(*parts)


@dataclass(frozen=True)
class RunningTrial:
    """A trial that runs: its cell, the machine ("" while it is being started), its seconds, and
    where it stands in words."""

    label: str
    node: str
    seconds: FiniteFloat
    stands: str = ""


@dataclass(frozen=True)
class NodeUse:
    """A machine of the cluster: what it has, trials that run on it, and those it has finished."""

    name: str
    cpus: FiniteFloat
    gpus: FiniteFloat
    alive: bool
    running: int = 0
    finished: int = 0


@dataclass(frozen=True)
class SweepStatus:
    """The status of a sweep, as kept in its store.

    Attributes:
        name: of the sweep, unique in its store.
        host, pid: of the process that drives it.
        began, updated: UTC, as in results.
        cells: all of them; `stored` were finished before, `done` and `failed` by this sweep.
        seconds_left: expected, or None while nothing is known.
        failures: label, kind and message of the last ones.
    """

    name: str
    study: str
    host: str
    pid: int
    began: str
    updated: str
    state: _State
    cells: int
    stored: int
    done: int = 0
    failed: int = 0
    seconds_left: FiniteFloat | None = None
    running: tuple[RunningTrial, ...] = ()
    nodes: tuple[NodeUse, ...] = ()
    failures: tuple[tuple[str, str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SweepStatus:
        """Raises ValueError for other data."""
        status = TypeAdapter(cls).validate_python(data)
        if datetime.fromisoformat(status.updated).tzinfo is None:
            raise ValueError("a time without its zone")
        return status

    def silent_seconds(self, now: datetime) -> float:
        """Seconds since the last update."""
        return (now - datetime.fromisoformat(self.updated)).total_seconds()


class StatusWriter(Renderer):
    """Writes the status of a sweep to its store.

    Args:
        name, study: of the sweep.
        nodes: gives the machines of the cluster; called only while trials run.
    """

    def __init__(
        self, store: Store, name: str, study: str, nodes: Callable[[], Sequence[NodeUse]]
    ) -> None:
        self._store, self._name, self._study, self._nodes = store, name, study, nodes
        self._every = _LOCAL_SECONDS if store.is_local else _REMOTE_SECONDS
        self._began, self._written = utc_now(), float("-inf")

    def begin(self, tally: Tally, message: str, now: float) -> None:
        self._write(tally, now, "starting")

    def ready(self, tally: Tally, now: float) -> None:
        self._write(tally, now, "running")

    def tick(self, tally: Tally, now: float) -> None:
        if now - self._written >= self._every:
            self._write(tally, now, "running" if tally.slots else "starting")

    def end(self, tally: Tally, now: float, *, stopped: bool) -> None:
        self._write(tally, now, "stopped" if stopped else "finished")

    def status(self, tally: Tally, now: float, state: _State) -> SweepStatus:
        """The status of the sweep now."""
        trials = [
            RunningTrial(
                tally.labels[hash],
                tally.nodes.get(hash, ""),
                round(now - began, 1),
                str(tally.progress[hash][0]) if hash in tally.progress else "",
            )
            for hash, began in tally.running.items()
        ]
        busy = Counter(trial.node for trial in trials)
        runs, left = state == "running", tally.seconds_left(now)
        failures = [(tally.labels[one.hash], *one.failure) for one in tally.outcomes if one.failure]
        return SweepStatus(
            name=self._name,
            study=self._study,
            host=platform.node(),
            pid=os.getpid(),
            began=self._began,
            updated=utc_now(),
            state=state,
            cells=len(tally.labels) + tally.stored,
            stored=tally.stored,
            done=tally.done,
            failed=tally.failed,
            seconds_left=None if left is None else round(left, 1),
            running=tuple(trials) if runs else (),
            nodes=tuple(
                NodeUse(n.name, n.cpus, n.gpus, n.alive, busy[n.name], tally.ended[n.name])
                for n in (self._nodes() if runs else ())
            ),
            failures=tuple(failures[-_SHOWN_FAILURES:]),
        )

    def _write(self, tally: Tally, now: float, state: _State) -> None:
        status, self._written = self.status(tally, now, state), now
        # A store that is away for a moment must not end the sweep; its trials say so themselves.
        with contextlib.suppress(OSError, ValueError):
            self._store.put_sweep(self._name, status.to_json())

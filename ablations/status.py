"""Where a sweep stands, kept in its store for whoever looks from another shell or machine."""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from ablations.outcome import Outcome
from ablations.progress import Clock, Tally
from bench.store.provenance import utc_now
from bench.store.store import Store

#: Seconds between two records, in a folder or elsewhere.
_LOCAL_SECONDS, _REMOTE_SECONDS = 2.0, 20.0

#: A sweep that says it runs and has not said so for this long has died.
SILENCE_SECONDS = 90.0

_FAILURES_SHOWN = 20

State = Literal["starting", "running", "finished", "stopped"]


@dataclass(frozen=True)
class Running:
    """A trial that runs: its cell, the machine ("" while it is being started), its seconds."""

    label: str
    node: str
    seconds: float


@dataclass(frozen=True)
class NodeUse:
    """A machine of the cluster: what it has, trials that run on it, and those it has finished."""

    name: str
    cpus: float
    gpus: float
    alive: bool
    running: int = 0
    finished: int = 0


@dataclass(frozen=True)
class LiveRecord:
    """What a sweep says of itself.

    Attributes:
        name: of the sweep, unique in its store.
        host, pid: of the process that drives it.
        began, updated: UTC, as in results.
        cells: all of them; `held` were finished before, `done` and `failed` by this sweep.
        seconds_left: expected, or None before the first trial has ended.
        failures: label, kind and message of the last ones.
    """

    name: str
    study: str
    host: str
    pid: int
    began: str
    updated: str
    state: State
    cells: int
    held: int
    done: int = 0
    failed: int = 0
    seconds_left: float | None = None
    running: tuple[Running, ...] = ()
    nodes: tuple[NodeUse, ...] = ()
    failures: tuple[tuple[str, str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LiveRecord:
        """Raises TypeError or KeyError for what is none."""
        return cls(
            **{
                **data,
                "running": tuple(Running(**one) for one in data["running"]),
                "nodes": tuple(NodeUse(**one) for one in data["nodes"]),
                "failures": tuple(tuple(one) for one in data["failures"]),
            }
        )

    def silent_seconds(self, now: datetime) -> float:
        """How long it has said nothing."""
        return (now - datetime.fromisoformat(self.updated)).total_seconds()


@dataclass
class Live:
    """Hears what a `Progress` hears and writes records of it.

    Attributes:
        labels, held: of the cells to be run, and how many were finished before.
        nodes: gives the machines of the cluster.
    """

    store: Store
    name: str
    study: str
    labels: Mapping[str, str]
    held: int
    nodes: Callable[[], list[NodeUse]]
    clock: Clock = time.monotonic
    _tally: Tally = field(init=False)
    _began: str = field(default_factory=utc_now)
    _state: State = "starting"
    _written: float = float("-inf")
    _where: dict[str, str] = field(default_factory=dict)
    _finished: Counter[str] = field(default_factory=Counter)
    _failures: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._tally = Tally(self.labels, self.held)
        self._every = _LOCAL_SECONDS if self.store.is_local else _REMOTE_SECONDS

    def begin(self) -> None:
        self._write()

    def ready(self, slots: int) -> None:
        self._tally.slots = slots
        self._state = "running"
        self._write()

    def started(self, hash: str) -> None:
        self._tally.started(hash, self.clock())

    def located(self, hash: str, node: str) -> None:
        self._where[hash] = node

    def finished(self, outcome: Outcome) -> None:
        self._tally.finished(outcome, self.clock())
        self._finished[self._where.pop(outcome.hash, "")] += 1
        if outcome.failure is not None:
            self._failures.append((self.labels[outcome.hash], *outcome.failure))

    def tick(self) -> None:
        if self.clock() - self._written >= self._every:
            self._write()

    def end(self, *, stopped: bool) -> None:
        self._state = "stopped" if stopped else "finished"
        self._write()

    def record(self) -> LiveRecord:
        """Where the sweep stands now."""
        now, tally = self.clock(), self._tally
        running = tuple(
            Running(self.labels[hash], self._where.get(hash, ""), round(now - began, 1))
            for hash, began in tally.running.items()
        )
        left = tally.seconds_left(now)
        return LiveRecord(
            name=self.name,
            study=self.study,
            host=platform.node(),
            pid=os.getpid(),
            began=self._began,
            updated=utc_now(),
            state=self._state,
            cells=len(self.labels) + self.held,
            held=self.held,
            done=tally.done,
            failed=tally.failed,
            seconds_left=None if left is None else round(left, 1),
            running=running if self._state == "running" else (),
            nodes=self._uses(running),
            failures=tuple(self._failures[-_FAILURES_SHOWN:]),
        )

    def _uses(self, running: tuple[Running, ...]) -> tuple[NodeUse, ...]:
        busy = Counter(trial.node for trial in running)
        return tuple(
            NodeUse(
                node.name,
                node.cpus,
                node.gpus,
                node.alive,
                busy[node.name],
                self._finished[node.name],
            )
            for node in (self.nodes() if self._state == "running" else ())
        )

    def _write(self) -> None:
        self._written = self.clock()
        # A store that is away for a moment must not end the sweep; its trials say so themselves.
        with contextlib.suppress(OSError, ValueError):
            self.store.put_sweep(self.name, self.record().to_json())

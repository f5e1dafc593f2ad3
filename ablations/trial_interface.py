"""The interface of a trial: options and hooks go in, a result and its outcome come out.

Nothing in here changes a figure: whatever does is an option of the cell.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from ablations.trial_progress import TrialProgress
from bench.errors import reason_of
from bench.store.cell import Cell
from bench.store.models import Keep
from bench.store.result import Failure, Primary, Provenance, Result, provenance
from bench.tracking import Mode, NullTracker, Tracker
from tasks.base import Paths
from tasks.plan import outdated_settings, resolve

if TYPE_CHECKING:
    from bench.store.store import Store

_log = logging.getLogger(__name__)

#: Kinds of failure that the sweep itself names; trials add theirs.
WORKER_DIED = "worker died"
OUT_OF_MEMORY = "out of memory"
NOT_STORED = "not stored"
TIMED_OUT = "timed out"


@dataclass(frozen=True)
class TrialOptions:
    """Execution options of a trial. Plain data that travels to workers.

    Attributes:
        store_address: folder or URL of the store the trial writes its result to (`Store.open`);
            None keeps nothing (`attnbench run` without `--store`).
        data_root: folder of the real data sets, or None.
        cache: folder for prepared data, shared by all trials of a machine; a leading `~` is the
            home of whoever runs the worker.
        threads: threads that torch may use.
        device: "cpu", "cuda", "cuda:<index>" or "mps".
        gpu_share: share of the device's memory that the trial may use.
        study: name of the study the trial belongs to, for the record and as W&B group.
        wandb: what `bench.tracking.decide` chose, once for all trials of a sweep.
        track: further trackers by name (`bench.tracking.LIGHTNING`).
        sweep: name of the sweep the trial belongs to (`Store.put_sweep`), or None.
        sweep_began: `bench.store.result.utc_now()` of its beginning.
        trial_seconds: longest time a trial of a sweep may take, or None.
        checkpoint_seconds: time of training between two checkpoints. They are kept in the store.
        tests: False for candidates of a search, which are judged by their validation loss alone.
        keep_model: which trained models the store keeps (`bench.store.models`), or None.
        again: results that were stored before the sweep began do not count as its own.
        notes: for the records.
        own_notes: notes of single cells, by hash, instead of `notes`.
        ranks: processes that train one trial together, each on a device of its own.
        rank: of this process. Rank 0 also tests, stores and tracks.
    """

    store_address: str | None
    data_root: str | None
    cache: str
    threads: int = 1
    device: str = "cpu"
    gpu_share: float = 1.0
    study: str | None = None
    wandb: Mode = "off"
    track: tuple[str, ...] = ()
    sweep: str | None = None
    sweep_began: str = ""
    trial_seconds: float | None = None
    checkpoint_seconds: float = 120.0
    tests: bool = True
    keep_model: Keep | None = None
    again: bool = False
    notes: tuple[str, ...] = ()
    own_notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    ranks: int = 1
    rank: int = 0

    def __post_init__(self) -> None:
        # What has travelled as JSON has lists.
        object.__setattr__(self, "notes", tuple(self.notes))
        object.__setattr__(self, "track", tuple(self.track))
        own = {hash: tuple(notes) for hash, notes in self.own_notes.items()}
        object.__setattr__(self, "own_notes", own)

    @classmethod
    def of(cls, store: Store | None, data_root: Path | None, **others: Any) -> TrialOptions:
        """Options of trials of this process's user.

        Args:
            store: keeps results, and what is prepared; without one that lies in the user's cache.
            others: attributes by name.
        """
        return cls(
            store_address=None if store is None else store.address,
            data_root=None if data_root is None else str(data_root),
            cache=str(Paths.of_user(None).cache if store is None else store.cache),
            **others,
        )

    def store(self) -> Store | None:
        """The store, which whoever made these options has found usable."""
        if self.store_address is None:
            return None
        from bench.store.store import Store

        return Store.at(self.store_address)

    def paths(self) -> Paths:
        """Folders that the task may read and write; the cache folder is made."""
        cache = Path(self.cache).expanduser()
        cache.mkdir(parents=True, exist_ok=True)
        return Paths(None if self.data_root is None else Path(self.data_root), cache)

    def notes_of(self, cell: Cell) -> tuple[str, ...]:
        """Notes for the record of a cell."""
        return self.own_notes.get(cell.hash, self.notes)

    def provenance(self, started: str, **fields: Any) -> Provenance:
        """The provenance of a result made with these options (`bench.store.result`)."""
        return provenance(
            started=started, device=self.device, threads=self.threads, study=self.study, **fields
        )


@dataclass(frozen=True)
class TrialHooks:
    """Callbacks of the process that runs a trial. They are not sent to other processes.

    Attributes:
        report: receives each point of the curve, with the lowest validation loss so far.
        message: receives one line about a problem beside the trial, such as its tracking.
        asked_to_stop: whether to end with a checkpoint; called before every step.
        peer_failure: waits for what went wrong in another rank; None if nothing did.
        tracker: receives the curve; `run_trial` opens it.
        progress: receives where the trial stands, at most every `progress_seconds`, and when a
            phase begins.
    """

    report: Callable[[Mapping[str, float]], None] = lambda figures: None
    message: Callable[[str], None] = lambda line: None
    asked_to_stop: Callable[[], bool] = lambda: False
    peer_failure: Callable[[], Exception | None] = lambda: None
    tracker: Tracker = field(default_factory=NullTracker)
    progress: Callable[[TrialProgress], None] = lambda progress: None
    progress_seconds: float = 1.0


#: For a trial that nobody follows.
NO_HOOKS = TrialHooks()


@dataclass(frozen=True)
class Outcome:
    """One finished trial in brief, for the process that drives the sweep.

    Attributes:
        hash: of the cell.
        status: of the result; without one "interrupted" where a stop was asked for, "elsewhere"
            where another process runs the cell.
        figure: headline figure by name, as in ("BLEU", 31.2); None for a failure.
        failure: kind and message; None for a finished trial.
        seconds: of the whole trial; 0 for one that another sweep had stored meanwhile.
        stored: whether the store holds the result.
        problem: what went wrong beside the trial (with its tracking), or who runs it elsewhere,
            in a line, or None.
    """

    hash: str
    status: Literal["done", "failed", "interrupted", "elsewhere"]
    figure: tuple[str, float] | None = None
    failure: tuple[str, str] | None = None
    seconds: float = 0.0
    stored: bool = True
    problem: str | None = None

    @classmethod
    def of(cls, result: Result, seconds: float = 0.0, *, stored: bool = True) -> Outcome:
        """The outcome of a trial with this result."""
        primary, failure = result.primary, result.failure
        figure = None if primary is None else (primary.name, primary.value)
        reason = None if failure is None else (failure.kind, failure.message)
        return cls(result.hash, result.status, figure, reason, seconds, stored)

    def with_problem(self, problems: Sequence[str]) -> Outcome:
        """The outcome with the first of these problems, if it has none of its own."""
        return replace(self, problem=self.problem or next(iter(problems), None))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Outcome:
        """The outcome in one of Ray's reports, which hold more."""
        return TypeAdapter(cls).validate_python(data)


def validation_figures(loss: float, steps: float) -> dict[str, Any]:
    """The figures of a candidate of a search, as fields of its `Result`: no test data are used."""
    first = Primary(name="validation loss", value=loss, low=loss, high=loss, higher_is_better=False)
    return {"metrics": {"validation_loss": loss, "steps": steps}, "primary": first}


#: Begins the note of a candidate that a scheduler has stopped; the step follows.
_STOPPED = "stopped early after step"


def was_stopped(result: Result) -> bool:
    """Whether this is a candidate that a scheduler has stopped."""
    return any(note.startswith(_STOPPED) for note in result.provenance.notes)


def stopped_result(
    cell: Cell, options: TrialOptions, figures: Mapping[str, float], *, started: str
) -> Result:
    """The result of a candidate that a scheduler has stopped.

    Args:
        figures: what it reported last (`TrialHooks.report`).
    """
    note = f"{_STOPPED} {figures['step']:g}"
    return Result(
        hash=cell.hash,
        cell_json=cell.to_json(),
        status="done",
        settings=resolve(cell).stated_settings,
        **validation_figures(figures["validation_loss"], figures["step"]),
        provenance=options.provenance(started, notes=[note]),
    )


def failed_result(
    cell: Cell,
    kind: str,
    message: str,
    *,
    started: str,
    options: TrialOptions = TrialOptions(None, None, ""),
) -> Result:
    """The record of a trial that failed.

    Args:
        kind: short and countable ("diverged", an exception's class name).
        message: any text; it is made one line.
        started: `bench.store.result.utc_now()` of its beginning.
    """
    return Result(
        hash=cell.hash,
        cell_json=cell.to_json(),
        status="failed",
        failure=Failure(kind=kind, message=" ".join(message.split())),
        provenance=options.provenance(started),
    )


class NotStoredError(OSError):
    """Raised where a trial has ended and the store cannot hold its result, which this carries."""

    def __init__(self, result: Result, cause: OSError) -> None:
        super().__init__(f"the result cannot be stored ({reason_of(cause)})")
        self.result = result


def finished_result(cell: Cell, store: Store) -> Result | None:
    """The finished result of a cell, trained with the settings that the cell has here; or None."""
    result = _held(cell, store)
    return result if result is not None and _counts(result) else None


def _held(cell: Cell, store: Store) -> Result | None:
    try:
        return store.get(cell.hash)
    except (KeyError, ValueError, OSError):  # none, or unusable: the trial writes it anew
        return None


def _counts(result: Result) -> bool:
    return result.status == "done" and not outdated_settings(result)


def stored_result(cell: Cell, options: TrialOptions) -> Result | None:
    """The result in the store that makes the trial of a cell needless, or None."""
    store = options.store()
    result = None if store is None else _held(cell, store)
    if result is None:
        return None
    # Of this very sweep: the process ended a moment ago, after it had stored this (`time_limit`
    # does so on purpose). Running once more would come to the same, to the same failure, too.
    own = options.sweep is not None and result.provenance.started >= options.sweep_began
    return result if own or (_counts(result) and not options.again) else None


def store_result(result: Result, options: TrialOptions) -> bool:
    """Store a result; log and return False on failure."""
    store = options.store()
    try:
        if store is not None:
            store.put(result)
    except (ValueError, OSError) as error:
        _log.error("%s cannot be stored: %s", result.hash[:12], error)
        return False
    return store is not None

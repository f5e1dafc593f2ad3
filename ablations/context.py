"""What a trial is told besides its cell: where to store, where data lies, what it may use.

Plain data that travels to workers. Nothing in here may change a figure: whatever does is an
option of the cell.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.store.cell import Cell
    from bench.store.store import Store
    from bench.tracking import Mode
    from tasks.base import Paths


@dataclass(frozen=True)
class TrialContext:
    """The surroundings of one trial.

    Attributes:
        store_address: folder or URL of the store the trial writes its result to (`Store.open`);
            None keeps nothing (`attnbench run` without `--store`).
        data_root: folder of the real data sets, or None.
        cache: folder for prepared data, shared by all trials of a machine; a leading `~` is the
            home of whoever runs the worker.
        threads: threads that torch may use.
        device: "cpu", "cuda" or "cuda:<index>".
        gpu_share: share of the device's memory that the trial may use.
        study: name of the study the trial belongs to, for the record and as W&B group.
        wandb: what `bench.tracking.decide` chose, once for all trials of a sweep.
        sweep: name of the sweep the trial belongs to (`Store.put_sweep`), or None.
        sweep_began: `bench.store.provenance.utc_now()` of its beginning.
        trial_seconds: longest time a trial of a sweep may take, or None.
        checkpoint_seconds: time of training between two checkpoints. They are kept in the store.
        tests: False for candidates of a search, which are judged by their validation loss alone.
        notes: for the records.
        own_notes: those of single cells, by hash, instead of `notes`.
        ranks: processes that train one trial together, each on a device of its own.
        rank: of this process. Rank 0 also tests, stores and tracks.
        report: gets each point of the curve, with the lowest validation loss so far; set by the
            process that runs the trial.
        tell: gets, in a line, what went wrong beside the trial; set by the process that runs it.
        asked_to_stop: whether the trial is to end with a checkpoint; set by the process that
            runs it, not sent to it.
        trouble: waits for what went wrong in another rank, None if nothing did; set by rank 0.
    """

    store_address: str | None
    data_root: str | None
    cache: str
    threads: int = 1
    device: str = "cpu"
    gpu_share: float = 1.0
    study: str | None = None
    wandb: Mode = "off"
    sweep: str | None = None
    sweep_began: str = ""
    trial_seconds: float | None = None
    checkpoint_seconds: float = 120.0
    tests: bool = True
    notes: tuple[str, ...] = ()
    own_notes: Mapping[str, tuple[str, ...]] = field(default_factory=dict, hash=False)
    ranks: int = 1
    rank: int = 0
    report: Callable[[Mapping[str, float]], None] | None = None
    tell: Callable[[str], None] | None = None
    asked_to_stop: Callable[[], bool] | None = None
    trouble: Callable[[], Exception | None] | None = None

    def __post_init__(self) -> None:
        # JSON makes lists of them.
        object.__setattr__(self, "notes", tuple(self.notes))
        own = {hash: tuple(notes) for hash, notes in self.own_notes.items()}
        object.__setattr__(self, "own_notes", own)

    def store(self) -> Store | None:
        """The store, as whoever made this context has found it usable."""
        from bench.store.store import Store

        return None if self.store_address is None else Store.at(self.store_address)

    def notes_of(self, cell: Cell) -> tuple[str, ...]:
        """What the record of a cell notes."""
        return self.own_notes.get(cell.hash, self.notes)

    def asked(self) -> bool:
        """Whether the trial is to end with a checkpoint."""
        return self.asked_to_stop is not None and self.asked_to_stop()

    def note(self, problem: str | None) -> None:
        """Tell of a problem, if there is one and somebody listens."""
        if problem is not None and self.tell is not None:
            self.tell(problem)

    def paths(self) -> Paths:
        """Where the task may read and write; the cache folder is made."""
        from tasks.base import Paths

        cache = Path(self.cache).expanduser()
        cache.mkdir(parents=True, exist_ok=True)
        return Paths(None if self.data_root is None else Path(self.data_root), cache)

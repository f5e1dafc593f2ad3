"""Trials that train nothing, for tests of what surrounds them. Workers import this module.

What a trial does is told by its cell's options, so that it needs no memory of its own.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

from ablations.trial_interface import NO_HOOKS, TrialHooks, TrialOptions, failed_result
from bench.store.cell import Cell
from bench.store.result import Cost, Primary, Result, provenance, utc_now
from bench.tracking import open_trackers

PREDICTIONS = [{"example": "0", "subset": "test", "prediction": "x"}]


def fake_cell(number: int, **options: Any) -> Cell:
    """A cell by number; its seed tells it from the others."""
    return Cell("translation", "synthetic", "soft", "concat", "smoke", number, options)


def fake_result(cell: Cell, value: float | None = None, **provenance_fields: Any) -> Result:
    """A finished result whose figure follows from the cell alone."""
    figure = float(cell.seed) if value is None else value
    return Result(
        hash=cell.hash,
        cell_json=cell.to_json(),
        status="done",
        metrics={"bleu": figure},
        primary=Primary(
            name="BLEU", value=figure, low=figure - 1, high=figure + 1, higher_is_better=True
        ),
        cost=Cost(total_seconds=cell.options.get("sleep", 0.0)),  # type: ignore[arg-type]
        provenance=provenance(started=utc_now(), **provenance_fields),
    )


def run(cell: Cell, options: TrialOptions, hooks: TrialHooks = NO_HOOKS) -> Result:
    """Wait until `gather` cells have begun, sleep for `sleep` seconds, then do what `does` says.

    raise, fail, hang, memory (runs out of it), kill (this process dies), kill once (only the first
    time).
    """
    _sign_in(cell, options)
    while len(list((Path(options.cache) / "visits").iterdir())) < cell.options.get("gather", 0):
        time.sleep(0.05)
    time.sleep(float(cell.options.get("sleep") or 0.0))
    does = cell.options.get("does")
    if does == "raise":
        raise RuntimeError("as told,\nin two lines")
    if does == "hang":
        threading.Event().wait()
    if does == "memory":
        raise MemoryError("cannot allocate memory")
    if does == "kill" or (does == "kill once" and _visits(cell, options) == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    store = options.store()
    assert store is not None
    if does == "fail":
        result = failed_result(cell, "diverged", "the loss is nan", started=utc_now())
        store.put(result)
        return result
    with open_trackers(options.track, options.wandb, cell, store.scratch, options.study) as tracker:
        tracker.log(1, {"loss": 1.0})
        result = fake_result(cell, study=options.study, notes=(str(os.getpid()),))
        store.put(result, PREDICTIONS, [])
        tracker.finish(result)
    if tracker.problem is not None:
        hooks.message(tracker.problem)
    return result


def _sign_in(cell: Cell, options: TrialOptions) -> None:
    """One line a visit, so that tests can count how often a cell was run."""
    log = Path(options.cache) / "visits" / cell.hash
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("a") as file:
        file.write(f"{os.getpid()}\n")


def _visits(cell: Cell, options: TrialOptions) -> int:
    return len((Path(options.cache) / "visits" / cell.hash).read_text().splitlines())

"""What a trial costs beyond its training, in the middle of a sweep: scheduling, workers, storing,
W&B offline. Prints figures, asserts no times."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_trials import PREDICTIONS, fake_cell, fake_result
from marked_processes import SUPPORT, Marked

from bench.store.result import Trace
from bench.store.store import Store
from bench.tracking import open_tracker

pytestmark = pytest.mark.performance

CELLS = 60
#: A test set and traces of the size that a `laptop` translation cell stores.
ROWS = [
    {
        "subset": "test",
        "example": str(number),
        "source": "ein Wort " * 6,
        "references": ["a word " * 6],
        "prediction": "a word " * 6,
        "length": 12,
        "score": 0.5,
        "statistics": [float(n) for n in range(10)],
        "extra": {},
    }
    for number in range(1000)
]


def trace(number: int) -> Trace:
    weights = np.random.default_rng(number).dirichlet(np.ones(20), size=20)
    units = tuple(f"word{place}" for place in range(20))
    gold = tuple((place, place) for place in range(20))
    return Trace(str(number), "test", "free", "words", units, units, weights, gold=gold)


def seconds_each(action: Callable[[int], None], times: int) -> float:
    """The median of so many calls, after one that warms up."""
    action(0)
    taken = []
    for number in range(1, times + 1):
        begun = time.perf_counter()
        action(number)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


@pytest.mark.parametrize("wandb", ["off", "offline"])
def test_scheduling_and_storing_per_trial(tmp_path: Path, wandb: str) -> None:
    """Trials that do nothing: what is left is what the sweep adds."""
    store = tmp_path / "store"
    cells = [(number, {}) for number in range(CELLS)]
    specification = json.dumps({"cells": cells, "wandb": wandb})
    run = Marked(str(SUPPORT / "fake_sweep.py"), [str(store), specification], tmp_path / "run")
    begun = time.perf_counter()
    try:
        assert run.wait(300) == 0, run.stderr
    finally:
        run.kill()
    whole = time.perf_counter() - begun
    records = sorted(path.stat().st_mtime for path in (store / "trials").glob("*[0-9a-f].json"))
    middle = records[CELLS // 4 : -CELLS // 10]
    each = (middle[-1] - middle[0]) / (len(middle) - 1)
    slots = len({result.provenance.notes for result in Store.open(store).results([])})
    print(
        f"\nW&B {wandb}: {1000 * each * slots:.0f} ms of a worker per trial in mid-sweep "
        f"({slots} workers), {whole:.1f} s for {CELLS} cells with the start of Ray"
    )


def test_storing_a_result(tmp_path: Path) -> None:
    store = Store.open(tmp_path, create=True)
    traces = [trace(number).to_json() for number in range(16)]

    def put(number: int) -> None:
        store.put(fake_result(fake_cell(number)), ROWS, traces)

    def get(number: int) -> None:
        store.get(fake_cell(number).hash)

    print(
        f"\nstore: {1000 * seconds_each(put, 20):.1f} ms to write a trial of {len(ROWS)} examples"
    )
    print(f"store: {1000 * seconds_each(get, 20):.2f} ms to read its record")
    assert store.predictions(fake_cell(1).hash) != PREDICTIONS


def test_tracking_a_trial(tmp_path: Path) -> None:
    traces = [trace(number) for number in range(16)]

    def track(number: int) -> None:
        cell = fake_cell(number)
        with open_tracker("offline", cell, tmp_path, "overview") as tracker:
            for step in range(10):
                tracker.log(step, {"loss": 1.0, "validation_loss": 1.0})
            tracker.finish(fake_result(cell), ROWS[:20], traces)
        assert tracker.problem is None

    print(f"\nW&B offline: {1000 * seconds_each(track, 20):.0f} ms a run with pictures and table")

"""What a sweep and its store cost as they grow: 1,000 trials that do nothing, then 10,000. Prints
figures, asserts no times."""

from __future__ import annotations

import json
import time
from datetime import datetime
from pathlib import Path

import pytest
from fake_trials import fake_cell, fake_result
from marked_processes import SUPPORT, Marked

from ablations.sweep import plan_sweep
from ablations.trial_interface import failed_result
from bench.store.result import utc_now
from bench.store.store import Store

pytestmark = pytest.mark.performance

SIZES = [1_000, 10_000]


def per_trial(begun: float, count: int) -> float:
    """Milliseconds each since then."""
    return 1000 * (time.perf_counter() - begun) / count


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", SIZES)
def test_a_sweep_of_trials_that_do_nothing(tmp_path: Path, count: int) -> None:
    path = tmp_path / "store"
    specification = tmp_path / "specification.json"
    specification.write_text(json.dumps({"cells": [(number, {}) for number in range(count)]}))
    command = Marked(
        str(SUPPORT / "fake_sweep.py"), [str(path), f"@{specification}"], tmp_path / "run"
    )
    begun = time.perf_counter()
    try:
        assert command.wait(3500) == 0, command.stderr
    finally:
        command.kill()
    whole = time.perf_counter() - begun
    began = json.loads(next((path / "sweeps").glob("*.json")).read_text())["began"]
    written = sorted(file.stat().st_mtime for file in (path / "trials").glob("*[0-9a-f].json"))
    tenth = count // 10
    rates = [1000 * (part[-1] - part[0]) / (len(part) - 1) for part in (
        written[tenth : 2 * tenth], written[-2 * tenth : -tenth])]  # fmt: skip
    first = written[0] - datetime.fromisoformat(began).timestamp()
    print(
        f"\n{count} trials: {whole:.0f} s, {first:.0f} s of them to the first result; one ends "
        f"every {rates[0]:.1f} ms in the second tenth, every {rates[1]:.1f} ms in the last but one"
    )


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", SIZES)
def test_a_store_of_many_results(tmp_path: Path, count: int) -> None:
    store = Store.open(tmp_path, create=True)
    cells = [fake_cell(number) for number in range(count)]
    begun = time.perf_counter()
    for cell in cells:
        store.put(fake_result(cell), [{"example": "0", "prediction": "x"}], [])
    write = per_trial(begun, count)
    begun = time.perf_counter()
    assert sum(1 for _ in store.results([])) == count
    read = per_trial(begun, count)
    begun = time.perf_counter()
    assert plan_sweep(cells, store, order=lambda cells, seconds: cells).to_run == ()
    planned = time.perf_counter() - begun
    begun = time.perf_counter()
    assert store.statuses(store.hashes()) == {cell.hash: "done" for cell in cells}
    status = time.perf_counter() - begun
    late = [failed_result(fake_cell(-n), "x", "y", started=utc_now()) for n in range(1, 51)]
    begun = time.perf_counter()
    for result in late:
        store.put(result)
    failed = per_trial(begun, len(late))
    print(
        f"\n{count} results: {write:.2f} ms each to write ({failed:.2f} a failed one more), "
        f"{read:.2f} ms each to read, {planned:.1f} s to plan a sweep that has them all, "
        f"{status:.1f} s for their status"
    )

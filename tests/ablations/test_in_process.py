from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_trials import fake_cell
from marked_processes import SUPPORT, wait_until

from ablations.cluster import Resources
from ablations.progress import Renderer
from ablations.sweep import Shard, SweepSummary, plan_sweep, run_sweep
from ablations.trial_interface import TrialOptions
from bench.store.claims import claim
from bench.store.store import Store

ALONE = Resources(in_process=True)
SCRIPT = str(SUPPORT / "fake_sweep.py")


def swept(store: Store, cells: list[Any], **more: Any) -> SweepSummary:
    options = TrialOptions(store.address, None, str(store.cache), study="fake")
    plan = plan_sweep(cells, store, order=lambda cells, seconds: cells)
    return run_sweep(plan, options, ALONE, Renderer(), trial_function="fake_trials:run", **more)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store", create=True)


def test_cells_run_one_after_another_without_ray(store: Store) -> None:
    cells = [fake_cell(1), fake_cell(2, does="fail"), fake_cell(3)]
    summary = swept(store, cells)
    assert [one.hash for one in summary.outcomes] == [cell.hash for cell in cells]
    assert [one.status for one in summary.outcomes] == ["done", "failed", "done"]
    assert summary.exit_status == 1
    assert not store.ray.exists()
    (sweep,) = store.sweeps()
    assert (sweep["state"], sweep["done"], sweep["failed"]) == ("finished", 2, 1)
    assert swept(store, cells).plan.to_run == (cells[1],)


def test_fail_fast_leaves_the_rest(store: Store) -> None:
    cells = [fake_cell(1), fake_cell(2, does="fail"), fake_cell(3)]
    summary = swept(store, cells, fail_fast=True)
    assert [one.status for one in summary.outcomes] == ["done", "failed"]
    assert (summary.exit_status, summary.stopped) == (1, None)


def test_what_another_driver_runs_is_left_to_it(store: Store) -> None:
    with claim(store, fake_cell(2).hash, "theirs"):
        summary = swept(store, [fake_cell(number) for number in (1, 2, 3)])
    assert list(summary.elsewhere) == [fake_cell(2).hash]
    assert summary.exit_status == 0
    assert len(store.hashes()) == 2
    assert len(swept(store, [fake_cell(number) for number in (1, 2, 3)]).outcomes) == 1


def start(store: Path, cells: list[Any]) -> subprocess.Popen[str]:
    wanted = {"cells": cells, "resources": {"in_process": True}}
    return subprocess.Popen(
        [sys.executable, SCRIPT, str(store), json.dumps(wanted)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.timeout(300)
def test_three_drivers_train_no_cell_twice(tmp_path: Path) -> None:
    cells = [[number, {"sleep": 0.1}] for number in range(12)]
    drivers = [start(tmp_path / "store", cells) for _ in range(3)]
    for driver in drivers:
        _, said = driver.communicate(timeout=240)
        assert driver.returncode == 0, said
    visits = list((tmp_path / "store" / "cache" / "visits").iterdir())
    assert len(visits) == 12
    assert all(len(path.read_text().splitlines()) == 1 for path in visits)
    assert list((tmp_path / "store" / "claims").iterdir()) == []


@pytest.mark.timeout(300)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_driver_that_was_ended_blocks_nobody(tmp_path: Path, number: signal.Signals) -> None:
    cells = [[1, {"sleep": 3.0}], [2, {}]]
    driver = start(tmp_path / "store", cells)
    assert wait_until(lambda: any((tmp_path / "store").glob("claims/*.json")), timeout=120)
    driver.send_signal(number)
    driver.communicate(timeout=60)
    assert driver.returncode == (143 if number == signal.SIGTERM else -signal.SIGKILL)
    again = start(tmp_path / "store", cells)
    _, said = again.communicate(timeout=120)
    assert again.returncode == 0, said
    assert len(Store.open(tmp_path / "store").hashes()) == 2


def test_shards_share_out_every_cell_once() -> None:
    cells = [fake_cell(number) for number in range(400)]
    shards = [Shard.parse(f"{index}/7").of(cells) for index in range(1, 8)]
    assert sorted(cell.seed for shard in shards for cell in shard) == list(range(400))
    assert all(30 <= len(shard) <= 85 for shard in shards), "about as many each"
    assert Shard.parse("0/7") == Shard.parse("7/7")
    few = Shard.parse("3/7").of(cells[:50])
    assert set(few) <= set(shards[2]), "whatever other cells there are"
    kinds = [Shard.parse(f"{index}/7").of(cells, by_kind=True) for index in range(7)]
    assert sorted(map(len, kinds)) == [0] * 6 + [400], "they differ in their seed alone"

"""Sweeps through Ray, with trials that train nothing. Each start of Ray takes ten seconds, so one
sweep serves many tests."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from fake_trials import PREDICTIONS, fake_cell
from marked_processes import SUPPORT, Marked, wait_until
from wandb_files import offline_runs

from bench.store.store import Store

SCRIPT = str(SUPPORT / "fake_sweep.py")
SLOTS = psutil.cpu_count() or 1
PLAIN = [(number, {"sleep": 0.02}) for number in range(12 + 2 * SLOTS)]
FAULTS: dict[str, tuple[int, dict[str, Any]]] = {
    "raise": (100, {"does": "raise"}),
    "fail": (101, {"does": "fail"}),
    "kill": (102, {"does": "kill"}),
    "kill once": (103, {"does": "kill once"}),
}


def start(folder: Path, store: Path, cells: list[Any], **more: Any) -> Marked:
    specification = json.dumps({"cells": cells, **more})
    return Marked(SCRIPT, [str(store), specification], folder)


class Swept:
    """A finished sweep with every kind of fault in it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store"
        self.run = start(
            folder / "run",
            self.path,
            [*PLAIN, *FAULTS.values()],
            wandb="offline",
        )
        try:
            self.status = self.run.wait()
            self.left = self.run.alive()
        finally:
            self.run.kill()
        self.store = Store.open(self.path)
        self.told = json.loads(self.run.stdout.splitlines()[-1])

    def visits(self, number: int, **options: Any) -> int:
        path = self.store.cache / "visits" / fake_cell(number, **options).hash
        return len(path.read_text().splitlines())


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Swept:
    return Swept(tmp_path_factory.mktemp("swept"))


def test_every_cell_has_a_result(swept: Swept) -> None:
    for number, options in PLAIN:
        cell = fake_cell(number, **options)
        result = swept.store.get(cell.hash)
        assert (result.status, result.metrics["bleu"]) == ("done", number)
        assert result.provenance.study == "fake"
        assert swept.store.predictions(cell.hash) == PREDICTIONS
    assert len(swept.store.hashes()) == len(PLAIN) + len(FAULTS)


def test_failures_are_results_with_their_reasons(swept: Swept) -> None:
    said = {}
    for name, (number, options) in FAULTS.items():
        result = swept.store.get(fake_cell(number, **options).hash)
        said[name] = result.failure and (result.failure.kind, result.failure.message)
    assert said["raise"] == ("RuntimeError", "as told, in two lines")
    assert said["fail"] == ("diverged", "the loss is nan")
    assert said["kill once"] is None, "a worker's death costs one more try"
    kind, message = said["kill"]  # type: ignore[misc]
    assert kind == "worker died"
    assert message.startswith("its process was killed or crashed, 4 times (Worker ")
    assert len(message) < 200


def test_the_driver_hears_of_every_cell_once(swept: Swept) -> None:
    outcomes = {outcome["hash"]: outcome for outcome in swept.told["outcomes"]}
    assert len(outcomes) == len(swept.told["outcomes"]) == len(PLAIN) + len(FAULTS)
    done = outcomes[fake_cell(*PLAIN[3][:1], **PLAIN[3][1]).hash]
    assert (done["status"], done["figure"], done["stored"]) == ("done", ["BLEU", 3.0], True)
    assert done["seconds"] >= 0.02
    assert swept.status == 1
    assert len(swept.told["failures"]) == 3


def test_no_cell_is_run_more_often_than_it_has_to(swept: Swept) -> None:
    assert [swept.visits(number, **options) for number, options in PLAIN] == [1] * len(PLAIN)
    often = {name: swept.visits(number, **o) for name, (number, o) in FAULTS.items()}
    assert often == {"raise": 1, "fail": 1, "kill": 4, "kill once": 2}


def test_workers_are_reused(swept: Swept) -> None:
    results = [swept.store.get(fake_cell(number, **options).hash) for number, options in PLAIN]
    workers = {result.provenance.notes[0] for result in results}
    # One a slot, and one more for each of the three deaths.
    assert len(workers) <= SLOTS + 3


def test_cells_start_in_the_order_given(swept: Swept) -> None:
    begun = {
        number: (swept.store.cache / "visits" / fake_cell(number, **options).hash).stat().st_mtime
        for number, options in PLAIN
    }
    # The first cells wait for their workers to start; the others follow in order, but for those
    # that two workers ask for at the same moment.
    numbers = sorted(begun, key=begun.__getitem__)
    later = [number for number in numbers if number >= SLOTS]
    moved = [abs(place + SLOTS - number) for place, number in enumerate(later)]
    assert max(moved, default=0) <= SLOTS, numbers


def test_every_finished_trial_is_a_wandb_run(swept: Swept) -> None:
    runs = offline_runs(swept.path / "wandb")
    for number, options in PLAIN:
        run = runs[fake_cell(number, **options).hash]
        assert (run.group, run.exit_code) == ("fake", 0)
        assert run.summary["bleu"] == number


def test_nothing_is_left_behind(swept: Swept) -> None:
    assert swept.left == [], "processes"
    assert {path.name for path in swept.path.iterdir()} == {
        "trials", "sweeps", "cache", "claims", "ray", "wandb",
    }  # fmt: skip
    assert list((swept.path / "ray").iterdir()) == []
    assert list((swept.path / "claims").iterdir()) == [], "also of workers that were killed"
    for name in ("home", "tmp"):
        assert list((swept.run.folder / name).rglob("*")) == []


def test_the_terminal_belongs_to_us(swept: Swept) -> None:
    total = len(PLAIN) + len(FAULTS)
    first, _told = swept.run.stdout.splitlines()
    assert first == f"{total} cells, {total} to run"
    for line in swept.run.stderr.splitlines():
        assert line.startswith(("starting Ray", "translation/synthetic", *map(str, range(10)))), (
            line
        )
    assert f"{total - 3} of {total} done, 0 running, 3 failed; last: " in swept.run.stderr


@pytest.fixture
def killed_and_started_again(tmp_path: Path) -> Iterator[list[Marked]]:
    runs: list[Marked] = []
    yield runs
    for run in runs:
        run.kill()


def test_a_sweep_that_is_killed_and_stopped_is_finished_by_running_it_again(
    tmp_path: Path, killed_and_started_again: list[Marked]
) -> None:
    runs, path = killed_and_started_again, tmp_path / ("a long path " * 8) / "store"
    cells = [(number, {"sleep": 0.25}) for number in range(20 + 10 * SLOTS)]

    def records() -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in (path / "trials").glob("*.json")}

    def at_least(count: int) -> bool:
        return wait_until(lambda: path.exists() and len(records()) >= count, timeout=240)

    # The driver is killed; what it started ends by itself.
    runs.append(start(tmp_path / "killed", path, cells, wandb="offline"))
    assert at_least(3), runs[-1].stderr
    runs[-1].process.kill()
    assert runs[-1].wait() == -signal.SIGKILL
    assert wait_until(lambda: runs[0].alive() == [], timeout=30, every=0.5), runs[0].alive()
    first = records()
    assert 3 <= len(first) < len(cells)

    # The same command takes up where it was left; Ctrl-C stops it at once and cleanly.
    runs.append(start(tmp_path / "stopped", path, cells))
    assert at_least(len(first) + 3), runs[-1].stderr
    runs[-1].process.send_signal(signal.SIGINT)
    assert runs[-1].wait(timeout=30) == 130
    assert runs[-1].alive() == []
    assert list((path / "ray").iterdir()) == [], "the killed sweep's files are gone as well"
    assert f"{len(cells)} cells, {len(cells) - len(first)} to run" in runs[-1].stdout
    assert "Traceback" not in runs[-1].stderr
    second = records()
    assert len(first) + 3 <= len(second) < len(cells)

    # And again; SIGTERM is heeded by the unit tests of stopping. This one runs to its end.
    runs.append(start(tmp_path / "finished", path, cells))
    assert runs[-1].wait() == 0, runs[-1].stderr
    third = records()
    assert len(third) == len(cells)
    assert {name: third[name] for name in first} == first, "what was finished stays as it was"
    assert {name: third[name] for name in second} == second
    problems: list[Any] = []
    assert all(result.status == "done" for result in Store.open(path).results(problems))
    assert problems == []
    visits = [
        len((path / "cache" / "visits" / fake_cell(n, **o).hash).read_text().splitlines())
        for n, o in cells
    ]
    # Only what was in flight was begun twice.
    assert sum(visits) - len(cells) <= 2 * SLOTS

from __future__ import annotations

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from fake_trials import fake_cell, fake_result

from ablations.cli.status import describe, state, sweeps
from ablations.progress import (
    SILENCE_SECONDS,
    NodeUse,
    Progress,
    RunningTrial,
    StatusWriter,
    SweepStatus,
    Tally,
)
from ablations.trial_interface import Outcome
from bench.cli import main as cli
from bench.store.store import Store

CELLS = [fake_cell(number) for number in range(4)]


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def live(store: Store, clock: Clock) -> Progress:
    nodes = [NodeUse("a 000000", 2, 0, True), NodeUse("b 000000", 4, 1, False)]
    labels = {cell.hash: cell.label for cell in CELLS}
    writer = StatusWriter(store, "20260101-x", "x", lambda: nodes)
    return Progress(Tally(labels, 3), [writer], clock)


def half_way(live: Progress, clock: Clock) -> None:
    live.begin("starting")
    live.ready(2)
    for cell in CELLS[:3]:
        live.started(cell.hash)
        live.located(cell.hash, "a 000000" if cell is not CELLS[1] else "b 000000")
    clock.now += 10
    live.finished(Outcome.of(fake_result(CELLS[0]), 10.0))
    live.finished(Outcome(CELLS[1].hash, "failed", failure=("diverged", "nan"), seconds=10.0))
    live.tick()


def test_a_record_says_where_the_sweep_stands(live: Progress, clock: Clock, store: Store) -> None:
    half_way(live, clock)
    (record,) = sweeps(store)
    assert (record.state, record.cells, record.stored) == ("running", 7, 3)
    assert (record.done, record.failed, record.seconds_left) == (1, 1, 5.2)
    assert record.running == (RunningTrial(CELLS[2].label, "a 000000", 10.0),)
    assert record.nodes == (
        NodeUse("a 000000", 2, 0, True, 1, 1),
        NodeUse("b 000000", 4, 1, False, 0, 1),
    )
    assert record.failures == ((CELLS[1].label, "diverged", "nan"),)
    assert SweepStatus.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_records_are_written_now_and_then(live: Progress, clock: Clock, store: Store) -> None:
    live.begin("starting")
    live.ready(1)
    live.started(CELLS[0].hash)
    live.tick()
    assert sweeps(store)[0].running == ()
    clock.now += 60
    live.tick()
    assert len(sweeps(store)[0].running) == 1


def test_an_interrupted_trial_is_neither_done_nor_failed(
    live: Progress, clock: Clock, store: Store
) -> None:
    half_way(live, clock)
    live.finished(Outcome(CELLS[2].hash, "interrupted"))
    live.end(stopped=True)
    (record,) = sweeps(store)
    assert (record.state, record.done, record.failed) == ("stopped", 1, 1)


def test_a_store_that_is_away_does_not_end_the_sweep(
    live: Progress, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(name: str, record: object) -> None:
        raise OSError("away")

    monkeypatch.setattr(store, "put_sweep", away)
    live.begin("starting")
    live.end(stopped=False)


def test_silence_is_told_from_work(live: Progress, clock: Clock, store: Store) -> None:
    half_way(live, clock)
    (record,) = sweeps(store)
    said = datetime.fromisoformat(record.updated)
    assert state(record, said) == "running"
    later = said + timedelta(seconds=SILENCE_SECONDS + 1)
    assert state(record, later) == "silent"
    assert any("not heard of for" in line for line in describe("s", {}, [record], later))


def test_the_command(
    live: Progress, clock: Clock, store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["status", store.address]) == 0
    assert "no results yet" in capsys.readouterr().out
    half_way(live, clock)
    store.put(fake_result(CELLS[0]))
    (Path(store.address) / "sweeps" / "old.json").write_text('{"of": "another version"}')
    (Path(store.address) / "sweeps" / "cut.json").write_text("{")
    assert cli.main(["status", store.address]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"{store.address}: 1 done"
    assert lines[2] == "  4 of 7 done, 1 running, 1 failed, about 5 s left"
    assert lines[4] == "  b 000000: 4 CPUs, 1 GPUs, gone; 0 running, 1 ended"
    assert lines[-1].endswith("diverged: nan")
    assert cli.main(["status", store.address, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["results"], told["sweeps"][0]["state"]) == ({"done": 1}, "running")


def test_there_must_be_a_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["status", str(tmp_path / "none")]) == 2
    assert "no store there" in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "7",
        '"text"',
        "{",
        3000 * "[",
        "pipe",
        ("updated", "yesterday"),
        ("updated", "2026-01-01T00:00:00"),
        ("updated", 3),
        ("began", None),
        ("cells", "many"),
        ("running", [["a", "b", "c"]]),
        ("running", [{"label": "a", "node": "b", "seconds": float("nan")}]),
        ("seconds_left", float("inf")),
        ("nodes", {"a": 1}),
        ("failures", ["abc"]),
        ("state", "asleep"),
        ("pid", 10.5),
    ],
)
def test_a_status_that_is_none_is_left_out(
    store: Store,
    live: Progress,
    clock: Clock,
    capsys: pytest.CaptureFixture[str],
    content: str | tuple[str, object],
) -> None:
    half_way(live, clock)
    (good,) = store.sweeps()
    path = Path(store.address) / "sweeps" / "20260102-y.json"
    if content == "pipe":
        os.mkfifo(path)
    else:
        name, value = content if isinstance(content, tuple) else ("", "")
        path.write_text(content if isinstance(content, str) else json.dumps({**good, name: value}))
    for options in ([], ["--json"]):
        assert cli.main(["status", store.address, *options]) == 0
        captured = capsys.readouterr()
        assert captured.err == ""
    assert [one["name"] for one in json.loads(captured.out)["sweeps"]] == [good["name"]]

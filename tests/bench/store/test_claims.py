from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fake_trials import fake_cell

from bench.store import claims
from bench.store.claims import STALE_SECONDS, Claim, ClaimedError, claim
from bench.store.files import LocalFiles
from bench.store.store import Store

HASH = fake_cell(1).hash


@pytest.fixture(params=["local", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A store in a folder, and one behind fsspec."""
    local = request.param == "local"
    return Store.open(tmp_path / "s" if local else f"memory://{tmp_path}/s", create=True)


def elsewhere(seconds_ago: float = 0.0) -> Claim:
    """A claim of another machine, whose last heartbeat was some seconds ago."""
    beat = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat()
    return Claim("other", "node7", "0" * 8, 1, beat, beat)


def test_a_cell_has_one_holder_at_a_time(store: Store) -> None:
    with claim(store, HASH, "first"):
        with pytest.raises(ClaimedError, match=r"being run by first on .*, process \d+, heard of"):
            claim(store, HASH, "second")
        with claim(store, fake_cell(2).hash, "second"):
            pass  # another cell
    with claim(store, HASH, "second"):
        pass
    assert store.claim_numbers(HASH) == []


def test_a_claim_of_another_machine_is_taken_over_once_it_is_stale(store: Store) -> None:
    store.create_claim(HASH, 0, asdict(elsewhere(STALE_SECONDS - 5)))
    with pytest.raises(ClaimedError):
        claim(store, HASH, "mine")
    store.put_claim(HASH, 0, asdict(elsewhere(STALE_SECONDS + 5)))
    with claim(store, HASH, "mine"):
        assert sorted(store.claim_numbers(HASH)) == [0, 1]
        with pytest.raises(ClaimedError):
            claim(store, HASH, "a third")
    assert store.claim_numbers(HASH) == []


def test_a_claim_of_a_process_that_is_gone_is_stale_at_once(store: Store) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead = replace(Claim.of_this_process("killed"), pid=gone.pid)
    store.create_claim(HASH, 0, asdict(dead))
    with claim(store, HASH, "mine"):
        pass


def test_an_owner_takes_its_own_claim_over(store: Store) -> None:
    """A worker of a sweep died on another machine, and Ray starts the trial again."""
    store.create_claim(HASH, 0, asdict(elsewhere()))
    with claim(store, HASH, "other"):
        pass


@pytest.mark.parametrize(
    "content", [{}, [], {"owner": "x"}, asdict(elsewhere()) | {"heartbeat": "2026"}]
)
def test_an_unreadable_claim_blocks_nobody(store: Store, content: object) -> None:
    store._files.write(f"claims/{HASH}.0.json", [json.dumps(content).encode()])
    with claim(store, HASH, "mine"):
        pass


def test_a_holder_that_was_taken_for_dead_learns_of_it(store: Store) -> None:
    with claim(store, HASH, "asleep") as held:
        held.renew()
        assert not held.lost
        store.create_claim(HASH, 1, asdict(elsewhere()))
        held.renew()
        assert held.lost
    assert store.claim_numbers(HASH) == [1], "the other's claim stays"


def test_the_heartbeat_is_renewed(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "HEARTBEAT_SECONDS", 0.02)
    with claim(store, HASH, "mine"):
        first = store.claim_record(HASH, 0)["heartbeat"]
        for _ in range(500):
            if store.claim_record(HASH, 0)["heartbeat"] != first:
                break
            threading.Event().wait(0.02)
        else:
            raise AssertionError("no second heartbeat")


def _claim_all(address: str, barrier: Callable[[], int], queue: object) -> None:
    store, won = Store.open(address), []
    barrier()
    for number in range(30):
        try:
            claim(store, fake_cell(number).hash, str(os.getpid()))
        except ClaimedError:
            continue
        won.append(number)
    queue.put(won)  # type: ignore[attr-defined]
    barrier()  # a process that is gone no longer holds anything


def _race(address: str) -> list[int]:
    context = multiprocessing.get_context("spawn")
    barrier, queue = context.Barrier(3), context.Queue()
    racers = [
        context.Process(target=_claim_all, args=(address, barrier.wait, queue)) for _ in range(3)
    ]
    for racer in racers:
        racer.start()
    won = [number for _ in racers for number in queue.get(timeout=120)]
    for racer in racers:
        racer.join()
    return sorted(won)


def test_of_many_processes_one_gets_each_cell(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "s", create=True)
    for number in range(15):  # half of them are to be taken over
        store.create_claim(fake_cell(number).hash, 0, asdict(elsewhere(2 * STALE_SECONDS)))
    assert _race(store.address) == list(range(30))


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*paths: object) -> None:
        raise PermissionError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    files = LocalFiles(tmp_path)
    assert files.create("claims/x", b"1") and not files.create("claims/x", b"2")
    assert files.read("claims/x") == b"1"
    assert files.names("claims") == ["x"]

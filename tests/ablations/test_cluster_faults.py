"""What clusters do to sweeps, done to sweeps on a cluster of several nodes on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fake_trials import fake_cell, run
from marked_processes import SUPPORT, Marked

from ablations.trial_interface import TrialOptions
from bench.store.result import Result
from bench.store.store import Store

PLAIN = [(number, {"sleep": 0.3}) for number in range(24)]
FAULTS: dict[str, tuple[int, dict[str, Any]]] = {
    "hang": (100, {"does": "hang"}),
    "raise": (101, {"does": "raise"}),
    "memory": (102, {"does": "memory"}),
    "kill once": (103, {"does": "kill once"}),
}


class Stricken:
    """A finished sweep, and what became of its cluster."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "store"
        resources = {"address": "ADDRESS", "retries": 8}
        sweep = {
            "cells": [*FAULTS.values(), *PLAIN],
            "resources": resources,
            "context": {"trial_seconds": 20.0},
        }
        specification = {
            "command": [str(SUPPORT / "fake_sweep.py"), str(self.path), json.dumps(sweep)],
            "store": str(self.path),
            "nodes": 2,
            "events": [[3, "add"], [6, "kill"], [9, "remove"]],
        }
        command = Marked(
            str(SUPPORT / "fake_cluster.py"), [json.dumps(specification)], folder / "run"
        )
        try:
            assert command.wait(840) == 0, command.stderr
            self.alive = command.alive()
        finally:
            command.kill()
        self.stderr = command.stderr
        self.told = json.loads(command.stdout.splitlines()[-1])
        self.store = Store.open(self.path)


@pytest.fixture(scope="module")
def stricken(tmp_path_factory: pytest.TempPathFactory) -> Stricken:
    return Stricken(tmp_path_factory.mktemp("stricken"))


def figures(result: Result) -> Any:
    """Everything but who made it and when."""
    record = result.to_json()
    return {name: record[name] for name in record if name not in ("provenance", "cost")}


@pytest.mark.timeout(900)
def test_nothing_is_lost_when_machines_come_and_go(stricken: Stricken, tmp_path: Path) -> None:
    assert stricken.told["happened"] == ["add", "kill", "remove"]
    undisturbed = Store.open(tmp_path / "undisturbed", create=True)
    context = TrialOptions(undisturbed.address, None, str(tmp_path / "cache"), study="fake")
    for number, options in PLAIN:
        cell = fake_cell(number, **options)
        run(cell, context)
        assert figures(stricken.store.get(cell.hash)) == figures(undisturbed.get(cell.hash))
        assert stricken.store.predictions(cell.hash) == undisturbed.predictions(cell.hash)
    assert len(stricken.store.hashes()) == len(PLAIN) + len(FAULTS)


def test_what_fails_is_named_with_its_reason(stricken: Stricken) -> None:
    said = {}
    for name, (number, options) in FAULTS.items():
        failure = stricken.store.get(fake_cell(number, **options).hash).failure
        said[name] = failure and (failure.kind, failure.message)
    assert said == {
        "hang": ("timed out", "it took longer than 20 s"),
        "raise": ("RuntimeError", "as told, in two lines"),
        "memory": ("out of memory", "cannot allocate memory"),
        "kill once": None,
    }
    assert stricken.told["status"] == 1


def test_every_cell_is_told_of_once(stricken: Stricken) -> None:
    told = json.loads(stricken.told["stdout"].splitlines()[-1])
    hashes = [outcome["hash"] for outcome in told["outcomes"]]
    assert sorted(hashes) == stricken.store.hashes()


def test_nothing_is_left_on_the_cluster(stricken: Stricken) -> None:
    assert stricken.told["groups"] == []
    assert stricken.told["free"] == stricken.told["whole"] == 2
    assert stricken.alive == []

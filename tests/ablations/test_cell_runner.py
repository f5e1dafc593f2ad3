from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from fake_trials import fake_cell, fake_result

from ablations import cell_runner
from ablations.cancellation import Interrupted
from ablations.cell_runner import run_cell
from ablations.trial_interface import TrialHooks, TrialOptions
from bench.store.cell import Cell
from bench.store.claims import Claim, HeldClaim, claim
from bench.store.result import Result
from bench.store.store import Store

RUN = "fake_trials:run"
CELL = fake_cell(1)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "store", create=True)


@pytest.fixture
def options(store: Store) -> TrialOptions:
    return TrialOptions(store.address, None, str(store.cache), sweep="mine")


def test_a_cell_that_another_process_runs_is_left_to_it(
    store: Store, options: TrialOptions
) -> None:
    with claim(store, CELL.hash, "theirs"):
        outcome = run_cell(CELL, options, RUN)
    assert (outcome.status, outcome.figure) == ("elsewhere", None)
    assert outcome.problem is not None and "being run by theirs on " in outcome.problem
    assert store.hashes() == []
    assert run_cell(CELL, options, RUN).status == "done"
    assert store.claim_numbers(CELL.hash) == [], "the claim ends with the trial"


@pytest.mark.parametrize("does", ["raise", "fail", "memory"])
def test_a_claim_ends_with_a_failure(store: Store, options: TrialOptions, does: str) -> None:
    cell = fake_cell(1, does=does)
    assert run_cell(cell, options, RUN).status == "failed"
    assert store.claim_numbers(cell.hash) == []


def test_a_result_that_came_in_while_the_cell_was_claimed_is_taken(
    store: Store, options: TrialOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other process stores its result, and gives its claim up, between our first look at the
    store and our claim."""

    def late(store: Store, hash: str, owner: str) -> HeldClaim:
        store.put(fake_result(CELL, 77.0))
        return claim(store, hash, owner)

    monkeypatch.setattr(cell_runner, "claim", late)
    assert run_cell(CELL, options, RUN).figure == ("BLEU", 77.0)
    assert not (store.cache / "visits").exists()


def test_claims_of_processes_that_ended_after_storing_are_removed(
    store: Store, options: TrialOptions
) -> None:
    """As a trial's process does that has taken too long; the sweep then asks for it once more."""
    left = asdict(Claim.of_this_process("mine"))
    store.create_claim(CELL.hash, 0, left)
    store.create_claim(fake_cell(2).hash, 0, left)
    store.put(fake_result(CELL))
    assert run_cell(CELL, options, RUN).status == "done"
    assert store.claim_numbers(CELL.hash) == []
    assert store.claim_numbers(fake_cell(2).hash) == [0]


def test_a_trial_whose_claim_is_lost_stops(
    store: Store, options: TrialOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def asleep(cell: Cell, options: TrialOptions, hooks: TrialHooks) -> Result:
        assert not hooks.asked_to_stop()
        store.create_claim(cell.hash, 1, asdict(Claim.of_this_process("theirs")))
        held[0].renew()
        if hooks.asked_to_stop():
            raise Interrupted
        raise AssertionError("goes on")

    held: list[Any] = []

    def noted(*arguments: Any) -> HeldClaim:
        held.append(claim(*arguments))
        return held[0]

    monkeypatch.setattr(cell_runner, "claim", noted)
    monkeypatch.setattr("fake_trials.run", asleep)
    outcome = run_cell(CELL, options, RUN)
    assert (outcome.status, outcome.problem) == ("elsewhere", "taken over by another process")
    assert store.claim_numbers(CELL.hash) == [1]


def test_a_stop_by_a_signal_is_no_loss_of_the_claim(
    options: TrialOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(cell: Cell, options: TrialOptions, hooks: TrialHooks) -> Result:
        assert hooks.asked_to_stop()
        raise Interrupted

    monkeypatch.setattr("fake_trials.run", stopped)
    hooks = TrialHooks(asked_to_stop=lambda: True)
    assert run_cell(CELL, options, RUN, hooks).status == "interrupted"
